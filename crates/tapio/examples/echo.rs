//! A server that sends back what it gets, and a client that tries it.
//!
//! Run: `cargo run -p tapio --example echo`

#![expect(clippy::print_stdout, reason = "it shows what came back")]

use std::io;

use tapio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tapio::net::{TcpListener, TcpStream};

#[tapio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tapio::spawn(serve(listener));

    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"hello, kernel").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("{answer}");
    Ok(())
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        tapio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            copy(&mut reader, &mut writer).await
        });
    }
}
