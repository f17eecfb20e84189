//! Connections that are opened, used once and then left alone.

use std::{
    io::{Read, Write, stdin},
    net::{SocketAddr, TcpStream},
};

use super::client::PATIENCE;
use crate::report::say;

/// Opens `count` connections to an echo server, sends a byte over each and takes
/// it back, says so, and holds them until the end of standard input.
///
/// # Errors
/// The server cannot be reached or does not echo.
pub(crate) fn hold(address: SocketAddr, count: usize) -> Result<(), String> {
    let open = |_| -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&[1])?;
        stream.read_exact(&mut [0])?;
        Ok(stream)
    };
    let streams: Vec<TcpStream> = (0..count)
        .map(open)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("opening {count} connections: {error}"))?;
    say(format_args!("holding {}", streams.len()));
    let mut rest = Vec::new();
    stdin()
        .read_to_end(&mut rest)
        .map_err(|error| format!("standard input: {error}"))?;
    Ok(())
}
