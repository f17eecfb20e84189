//! All forms of services that can be served, and what handlers learn of a peer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tapio::net::{TcpListener, TcpStream};
use tapio::sync::oneshot;
use tapio_http::{Listener, ListenerExt};
use tower::ServiceBuilder;
use tower::limit::ConcurrencyLimit;

use crate::support::{Client, Server, on_each_driver};

type Body = Full<Bytes>;

async fn hello(_request: Request<tapio_http::Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

async fn hello_as_hyper_has_it(_request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

fn router() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// A make-service of our own, which refuses every second connection.
#[derive(Clone, Debug, Default)]
struct EverySecond {
    count: u32,
}

impl tower::Service<SocketAddr> for EverySecond {
    type Response = Router;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Router, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _peer: SocketAddr) -> Self::Future {
        self.count += 1;
        std::future::ready(if self.count % 2 == 1 {
            Ok(router())
        } else {
            Err("not this one, as the test wants")
        })
    }
}

#[test]
fn every_form_of_service_is_served() {
    on_each_driver(|driver| {
        let says_hello = |server: Server| {
            let mut client = server.connect();
            assert_eq!(client.get("/").text(), "hello");
            assert_eq!(client.get("/").text(), "hello");
            assert!(server.stop().is_clean());
        };
        says_hello(Server::start(driver, router()));
        says_hello(Server::start(driver, router().into_make_service()));
        says_hello(Server::start(
            driver,
            router().into_make_service_with_connect_info::<SocketAddr>(),
        ));
        says_hello(Server::start(driver, ConcurrencyLimit::new(router(), 2)));
        says_hello(Server::start(
            driver,
            ServiceBuilder::new().concurrency_limit(1).service_fn(hello),
        ));
        says_hello(Server::start(driver, tower::service_fn(hello)));
        says_hello(Server::start(
            driver,
            tower::make::Shared::new(tower::service_fn(hello)),
        ));
        says_hello(Server::start(driver, hyper::service::service_fn(hello)));
        says_hello(Server::start(
            driver,
            hyper::service::service_fn(hello_as_hyper_has_it),
        ));
    });
}

#[test]
fn one_thread_serves_as_well() {
    on_each_driver(|driver| {
        let runtime = driver.single_thread();
        let (stop, stopped) = oneshot::channel();
        let report = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let client = std::thread::spawn(move || {
                let mut client = Client::connect(addr);
                assert_eq!(client.get("/").text(), "hello");
                stop.send(()).unwrap();
                assert!(client.is_closed_by_server());
            });
            let serve = tapio_http::serve(listener, router()).with_graceful_shutdown(async {
                stopped.await.unwrap();
            });
            let report = serve.await.unwrap();
            client.join().unwrap();
            report
        });
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.counts.requests, 1);
    });
}

#[test]
fn handlers_learn_the_peers_address() {
    on_each_driver(|driver| {
        let app = Router::new().route(
            "/",
            get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()),
        );
        let server = Server::start(
            driver,
            app.into_make_service_with_connect_info::<SocketAddr>(),
        );
        for mut client in [server.connect(), server.connect()] {
            let expected = client.local_addr().to_string();
            assert_eq!(client.get("/").text(), expected);
        }
    });
}

#[test]
fn a_connection_that_gets_no_service_is_closed() {
    on_each_driver(|driver| {
        let server = Server::start(driver, EverySecond::default());
        assert_eq!(server.connect().get("/").text(), "hello");
        assert!(server.connect().is_closed_by_server());
        assert_eq!(server.connect().get("/").text(), "hello");
        let counts = server.stop().counts;
        assert_eq!((counts.connections, counts.failed), (3, 1));
    });
}

/// A make-service that is at its end, as `tower` tells it.
#[derive(Clone, Debug)]
struct Over;

impl tower::Service<SocketAddr> for Over {
    type Response = Router;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Router, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Err("no more services"))
    }

    fn call(&mut self, _peer: SocketAddr) -> Self::Future {
        unreachable!("it was never ready")
    }
}

#[test]
fn a_make_service_at_its_end_ends_the_server() {
    on_each_driver(|driver| {
        let error = Server::start(driver, Over).end().unwrap_err();
        assert!(error.to_string().contains("no more services"), "{error}");
    });
}

/// Tells what became of the option that is set on each connection.
struct Spy {
    listener: TcpListener,
    nodelay: Sender<bool>,
}

impl Listener for Spy {
    type Io = TcpStream;
    type Addr = SocketAddr;
    type LocalAddr = SocketAddr;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn set_nodelay(&self, stream: &TcpStream, nodelay: bool) -> io::Result<()> {
        self.listener.set_nodelay(stream, nodelay)?;
        self.nodelay.send(stream.nodelay()?).unwrap();
        Ok(())
    }
}

#[test]
fn nodelay_is_set_unless_it_is_unwanted() {
    on_each_driver(|driver| {
        let runtime = driver.runtime();
        for wanted in [None, Some(true), Some(false)] {
            let (nodelay, seen) = channel();
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let addr = listener.local_addr().unwrap();
            let mut serve = tapio_http::serve(Spy { listener, nodelay }, router());
            if let Some(wanted) = wanted {
                serve = serve.tcp_nodelay(wanted);
            }
            runtime.spawn(serve.into_future());
            assert_eq!(Client::connect(addr).get("/").text(), "hello");
            assert_eq!(seen.recv().unwrap(), wanted.unwrap_or(true));
        }
    });
}

#[test]
fn connections_can_be_tapped() {
    on_each_driver(|driver| {
        let runtime = driver.runtime();
        let (tapped, seen) = channel();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = listener.tap_io(move |stream| {
            stream.set_ttl(42).unwrap();
            tapped.send(stream.ttl().unwrap()).unwrap();
        });
        runtime.spawn(tapio_http::serve(listener, router()).into_future());
        assert_eq!(Client::connect(addr).get("/").text(), "hello");
        assert_eq!(seen.recv().unwrap(), 42);
    });
}
