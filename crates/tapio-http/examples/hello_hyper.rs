//! A hyper `service_fn` on Tapio, without any framework.
//!
//! Run it with `cargo run -p tapio-http --example hello_hyper`; it prints its
//! address and serves, over HTTP/1.1 and HTTP/2, until it is killed.
#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};

#[tapio::main]
async fn main() -> std::io::Result<()> {
    let listener = tapio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);

    tapio_http::serve(listener, service_fn(hello)).await?;
    Ok(())
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!(
        "{} {} over {:?}\n",
        request.method(),
        request.uri(),
        request.version()
    );
    Ok(Response::new(Full::from(text)))
}
