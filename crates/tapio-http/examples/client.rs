//! hyper's client on Tapio: one request over HTTP/1.1, then two at once over
//! one HTTP/2 connection.
//!
//! Run it with `cargo run -p tapio-http --example client`; it asks a server that
//! it starts itself and prints the three answers.
#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Version};
use tapio::net::{TcpListener, TcpStream};
use tapio_http::rt::{TapioExecutor, TapioIo, TapioTimer};

#[tapio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let app = Router::new().route(
        "/",
        get(|version: Version| async move { format!("hello over {version:?}") }),
    );
    tapio::spawn(tapio_http::serve(listener, app).into_future());

    // HTTP/1.1: a connection answers one request after the other.
    let stream = TapioIo::new(TcpStream::connect(addr).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tapio::spawn(connection);
    println!(
        "{}",
        text(sender.send_request(get_root(addr)?).await?).await?
    );

    // HTTP/2: hyper starts tasks for the streams and times its pings, so it is
    // given an executor and a timer.
    let stream = TapioIo::new(TcpStream::connect(addr).await?);
    let (mut sender, connection) = http2::Builder::new(TapioExecutor::new())
        .timer(TapioTimer::new())
        .handshake(stream)
        .await?;
    tapio::spawn(connection);
    let first = sender.send_request(get_root(addr)?);
    let second = sender.send_request(get_root(addr)?);
    let (first, second) = tapio::join!(first, second);
    println!("{}\n{}", text(first?).await?, text(second?).await?);
    Ok(())
}

fn get_root(addr: SocketAddr) -> Result<Request<Empty<Bytes>>, http::Error> {
    Request::get(format!("http://{addr}/"))
        .header("host", addr.to_string())
        .body(Empty::new())
}

async fn text(response: Response<Incoming>) -> Result<String, Box<dyn Error + Send + Sync>> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec())?)
}
