//! The limit of connections, and accepting that fails.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use tapio::net::{TcpListener, TcpStream};
use tapio_http::Listener;

use crate::support::{Client, Server, on_each_driver, wait_until};

fn app() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[test]
fn at_the_limit_accepting_pauses_until_a_connection_closes() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.max_connections(2));
        let mut first = server.connect();
        let mut second = server.connect();
        assert_eq!(first.get("/").text(), "hello");
        assert_eq!(second.get("/").text(), "hello");
        assert!(wait_until(|| server.monitor.counts().limit_pauses == 1));

        // Three more wait in the kernel's queue; those inside go on.
        let mut waiting: VecDeque<Client> = (0..3).map(|_| server.connect()).collect();
        for client in &mut waiting {
            client.send_get("/");
        }
        assert_eq!(first.get("/").text(), "hello");
        assert_eq!(server.monitor.counts().connections, 2);

        // Each that leaves lets one in, in the order in which they came.
        drop(first);
        assert_eq!(waiting[0].answer().text(), "hello");
        assert_eq!(server.monitor.counts().connections, 3);
        assert_eq!(server.monitor.open_count(), 2);
        drop(waiting.pop_front());
        assert_eq!(waiting[0].answer().text(), "hello");
        drop(second);
        assert_eq!(waiting[1].answer().text(), "hello");

        let report = server.stop();
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.counts.connections, 5);
        assert!(report.counts.limit_pauses >= 3, "{:?}", report.counts);
    });
}

#[test]
fn a_full_server_stops_as_well() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.max_connections(1));
        let mut client = server.connect();
        assert_eq!(client.get("/").text(), "hello");
        assert!(wait_until(|| server.monitor.counts().limit_pauses == 1));
        assert!(server.stop().is_clean());
        assert!(client.is_closed_by_server());
    });
}

/// A listener that fails as told before it accepts.
struct Failing {
    listener: TcpListener,
    errors: VecDeque<io::Error>,
}

impl Listener for Failing {
    type Io = TcpStream;
    type Addr = SocketAddr;
    type LocalAddr = SocketAddr;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        match self.errors.pop_front() {
            Some(error) => Err(error),
            None => self.listener.accept().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const EPROTO: i32 = 71;
const ECONNABORTED: i32 = 103;

#[test]
fn errors_of_accepting_are_counted_and_survived() {
    on_each_driver(|driver| {
        let runtime = driver.runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let errors =
            [ECONNABORTED, EMFILE, ENFILE, ECONNABORTED, EPROTO].map(io::Error::from_raw_os_error);
        let failing = Failing {
            listener,
            errors: errors.into(),
        };
        let addr = failing.local_addr().unwrap();
        let serve = tapio_http::serve(failing, app());
        let monitor = serve.monitor();
        runtime.spawn(serve.into_future());
        assert_eq!(Client::connect(addr).get("/").text(), "hello");
        assert_eq!(monitor.counts().accept_errors, 5);
    });
}

#[test]
fn a_broken_listener_ends_the_server() {
    on_each_driver(|driver| {
        let runtime = driver.runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let errors = [io::Error::from(io::ErrorKind::InvalidInput)].into();
        let outcome =
            runtime.block_on(tapio_http::serve(Failing { listener, errors }, app()).into_future());
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    });
}
