//! HTTP/1.1 on hyper: the same hello from everybody.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};

const HELLO: &[u8] = b"Hello, World!";

/// Serves one connection, with keep-alive, until the peer closes it.
///
/// hyper is given no timer: its header timeout would measure the peers' timers.
pub(crate) async fn connection<I: Read + Write + Unpin>(io: I) {
    // An error is a connection that the load generator closed or lost; it
    // counts its answers itself.
    let _ = http1::Builder::new()
        .serve_connection(io, service_fn(hello))
        .await;
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(HELLO))))
}
