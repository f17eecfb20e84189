//! What every server process does besides serving.

use std::{
    io::{BufRead, stdin},
    net::{Ipv4Addr, SocketAddr},
    process, thread,
};

use crate::{
    memory::{allocated_bytes, resident_bytes},
    report::say,
    workloads::Connection,
};

/// A server as it was asked for on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) workload: Connection,
    pub(crate) port: u16,
}

impl Server {
    /// Where to listen.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Tells the parent where the server listens, and obeys it from now on.
    ///
    /// A thread reads commands from standard input: `memory` is answered with
    /// the bytes held, the end of the input ends the process. The thread sleeps
    /// in the kernel while a measurement runs.
    pub(crate) fn ready(&self, address: SocketAddr) {
        say(format_args!("ready {address}"));
        let commands = || {
            for line in stdin().lock().lines() {
                match line.as_deref() {
                    Ok("memory") => {
                        say(format_args!(
                            "memory {} {}",
                            allocated_bytes(),
                            resident_bytes()
                        ));
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
            process::exit(0);
        };
        if let Err(error) = thread::Builder::new()
            .name("commands".into())
            .spawn(commands)
        {
            say(format_args!(
                "error cannot start the thread for commands: {error}"
            ));
        }
    }
}

/// A failure with the step it belongs to, as the peers report it.
pub(crate) fn failed<E: std::fmt::Display>(step: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{step}: {error}")
}
