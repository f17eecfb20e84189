//! Services that panic or fail.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response};
use tapio::guard::{self, Report};
use tapio_http::rt::{TapioExecutor, TapioIo};

use crate::support::{Driver, Server, on_each_driver};

struct PanickingBody;

impl http_body::Body for PanickingBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("a body panics, as the test wants");
    }
}

async fn panicking() -> &'static str {
    panic!("a handler panics, as the test wants");
}

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/panic", get(panicking))
        .route("/panic/body", get(|| async { Body::new(PanickingBody) }))
}

/// Servers on each driver; their panics are logged, so nobody calls them lost.
fn on_each_driver_without_lost_panics(test: impl Fn(Driver)) {
    let lost = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lost);
    let _reports = guard::on_report(move |report| {
        if let Report::UnobservedPanic(panic) = report
            && let Some(message) = &panic.message
            && message.contains("as the test wants")
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    on_each_driver(test);
    assert_eq!(lost.load(Ordering::Relaxed), 0);
}

#[test]
fn a_panic_ends_its_connection_and_no_other() {
    on_each_driver_without_lost_panics(|driver| {
        let server = Server::start(driver, app());
        let mut bystander = server.connect();
        assert_eq!(bystander.get("/").text(), "hello");
        for path in ["/panic", "/panic/body"] {
            let mut client = server.connect();
            client.send_get(path);
            client.read_to_end();
            assert_eq!(bystander.get("/").text(), "hello");
        }
        let report = server.stop();
        assert_eq!(report.counts.panics, 2);
        assert_eq!(report.counts.requests, 5);
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn over_http2_a_panic_ends_its_stream_only() {
    on_each_driver_without_lost_panics(|driver| {
        let server = Server::start(driver, app());
        let addr = server.addr;
        server.runtime.block_on(async {
            let stream = TapioIo::new(tapio::net::TcpStream::connect(addr).await.unwrap());
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TapioExecutor::new(), stream)
                    .await
                    .unwrap();
            tapio::spawn(connection);
            let get = |path: &str| {
                Request::get(format!("http://test{path}"))
                    .body(Empty::<Bytes>::new())
                    .unwrap()
            };

            assert!(sender.send_request(get("/panic")).await.is_err());
            let answer = sender.send_request(get("/panic/body")).await.unwrap();
            assert!(answer.into_body().collect().await.is_err());
            let answer = sender.send_request(get("/")).await.unwrap();
            assert_eq!(
                answer.into_body().collect().await.unwrap().to_bytes(),
                "hello"
            );
        });
        assert_eq!(server.monitor.counts().connections, 1);
        assert_eq!(server.monitor.counts().panics, 2);
    });
}

#[test]
fn a_service_that_panics_in_its_call_is_the_same() {
    on_each_driver_without_lost_panics(|driver| {
        let service = hyper::service::service_fn(|request: Request<Incoming>| {
            assert!(
                request.uri().path() != "/panic",
                "a call panics, as the test wants"
            );
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(
                Bytes::from_static(b"fine"),
            ))))
        });
        let server = Server::start(driver, service);
        let mut client = server.connect();
        client.send_get("/panic");
        client.read_to_end();
        assert_eq!(server.connect().get("/").text(), "fine");
        assert_eq!(server.stop().counts.panics, 1);
    });
}

#[test]
fn a_service_that_fails_ends_its_connection() {
    on_each_driver(|driver| {
        let service = tower::service_fn(|request: Request<tapio_http::Body>| async move {
            match request.uri().path() {
                "/fail" => Err("no answer, as the test wants"),
                _ => Ok(Response::new(Full::new(Bytes::from_static(b"fine")))),
            }
        });
        let server = Server::start(driver, service);
        let mut client = server.connect();
        client.send_get("/fail");
        assert!(client.is_closed_by_server());
        assert_eq!(server.connect().get("/").text(), "fine");
        let counts = server.stop().counts;
        assert_eq!((counts.failed, counts.panics), (1, 0));
    });
}

/// Panics where services are made: at once for the first connection, later for
/// the second.
#[derive(Clone, Debug, Default)]
struct PanickingMake {
    count: u32,
}

impl tower::Service<SocketAddr> for PanickingMake {
    type Response = Router;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Router, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _peer: SocketAddr) -> Self::Future {
        self.count += 1;
        let count = self.count;
        assert!(count != 1, "making panics, as the test wants");
        Box::pin(async move {
            assert!(count != 2, "making panics later, as the test wants");
            Ok(app())
        })
    }
}

#[test]
fn a_panic_where_services_are_made_ends_its_connection_and_no_other() {
    on_each_driver(|driver| {
        let server = Server::start(driver, PanickingMake::default());
        assert!(server.connect().is_closed_by_server());
        assert!(server.connect().is_closed_by_server());
        assert_eq!(server.connect().get("/").text(), "hello");
        let counts = server.stop().counts;
        assert_eq!((counts.connections, counts.panics), (3, 2));
    });
}
