//! A proxy under load, which only ever passes on what comes: this is what
//! async is for, and `guard::advice` has nothing to say against it.
//!
//! Run: `cargo run -p tapio --example advice_proxy`, with `TAPIO_ADVICE=1` for
//! the whole advice at the end.

#![expect(clippy::print_stdout, reason = "it shows what the guard found")]

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tapio::guard;
use tapio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tapio::net::{TcpListener, TcpStream};
use tapio::task::JoinSet;

#[tapio::main]
async fn main() -> io::Result<()> {
    let echo = TcpListener::bind("127.0.0.1:0").await?;
    let behind = echo.local_addr()?;
    let proxy = TcpListener::bind("127.0.0.1:0").await?;
    let before = proxy.local_addr()?;
    tapio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tapio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                copy(&mut reader, &mut writer).await
            });
        }
    });
    let line = line!() + 3;
    tapio::spawn(async move {
        while let Ok((stream, _)) = proxy.accept().await {
            tapio::spawn(pass_on(stream, behind));
        }
    });

    let mut clients = JoinSet::new();
    for _ in 0..10 {
        clients.spawn(load(before, Duration::from_secs(1)));
    }
    for answered in clients.join_all().await {
        answered?;
    }
    let advice = guard::advice();
    match advice.site(file!(), line) {
        Some(site) => println!("the proxy: {}", site.verdict),
        None => println!("the guard has not seen the proxy"),
    }
    Ok(())
}

async fn pass_on(mut near: TcpStream, behind: SocketAddr) -> io::Result<()> {
    let mut far = TcpStream::connect(behind).await?;
    copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}

/// Asks, one question after the other, for a while.
async fn load(address: SocketAddr, time: Duration) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let begin = Instant::now();
    let mut answer = [0; 64];
    while begin.elapsed() < time || !guard::advice().is_enough {
        stream.write_all(&[7; 64]).await?;
        stream.read_exact(&mut answer).await?;
    }
    Ok(())
}
