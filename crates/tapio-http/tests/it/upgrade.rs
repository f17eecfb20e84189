//! Connections that leave HTTP.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::header::{CONNECTION, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::TcpStream;
use tapio::sync::mpsc;
use tapio_http::Activity;
use tapio_http::rt::{TapioExecutor, TapioIo};

use crate::support::{Client, PATIENCE, Server, on_each_driver, wait_until};

const SHORT: Duration = Duration::from_millis(100);

/// Answers an upgrade with an echo until `end` comes; then says goodbye. How
/// each echo ended is sent to the test.
#[derive(Clone)]
struct Echo {
    ended: mpsc::UnboundedSender<std::io::Result<()>>,
}

impl hyper::service::Service<Request<Incoming>> for Echo {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let ended = self.ended.clone();
        tapio::spawn(async move {
            let upgraded = hyper::upgrade::on(request).await.unwrap();
            let _ = ended.send(echo(TapioIo::new(upgraded)).await);
        });
        let mut response = Response::new(Empty::new());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
            .headers_mut()
            .insert(CONNECTION, "upgrade".parse().unwrap());
        response
            .headers_mut()
            .insert(UPGRADE, "echo".parse().unwrap());
        std::future::ready(Ok(response))
    }
}

async fn echo(mut stream: TapioIo<hyper::upgrade::Upgraded>) -> std::io::Result<()> {
    let mut bytes = [0; 3];
    loop {
        stream.read_exact(&mut bytes).await?;
        stream.write_all(&bytes).await?;
        if &bytes == b"end" {
            return stream.shutdown().await;
        }
    }
}

fn start(
    driver: crate::support::Driver,
    waits: bool,
) -> (Server, mpsc::UnboundedReceiver<std::io::Result<()>>) {
    let (ended, endings) = mpsc::unbounded_channel();
    let server = Server::start_with(driver, Echo { ended }, |serve| {
        serve
            .drain_timeout(SHORT)
            .wait_for_upgraded(waits)
            .header_read_timeout(SHORT)
            .idle_timeout(SHORT)
    });
    (server, endings)
}

const REQUEST: &str =
    "GET /echo HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

fn upgrade(server: &Server) -> Client {
    let mut client = server.connect();
    // The new protocol begins right behind the request: those bytes are read
    // together with it and must not be lost.
    client.send(format!("{REQUEST}one"));
    assert_eq!(client.head().unwrap().0, 101);
    assert_eq!(client.read_exact(3), b"one");
    client
}

#[test]
fn an_upgraded_connection_is_open_until_its_owner_ends_it() {
    on_each_driver(|driver| {
        let (server, mut endings) = start(driver, true);
        let mut client = upgrade(&server);
        client.send("two");
        assert_eq!(client.read_exact(3), b"two");
        let open = server.monitor.open();
        assert_eq!((open.len(), open[0].activity), (1, Activity::Upgraded));
        // No timeout of HTTP applies any more.
        std::thread::sleep(3 * SHORT);
        client.send("end");
        assert_eq!(client.read_exact(3), b"end");
        assert!(client.is_closed_by_server());
        server.wait_for("its end", <[_]>::is_empty);
        assert!(endings.blocking_recv().unwrap().is_ok());
        assert!(server.stop().is_clean());
    });
}

#[test]
fn a_stop_waits_for_upgraded_connections_and_cuts_them_at_the_deadline() {
    on_each_driver(|driver| {
        let (server, mut endings) = start(driver, true);
        let mut client = upgrade(&server);
        let report = server.stop();
        assert!(report.drained_in >= SHORT);
        let [upgraded] = report.open.as_slice() else {
            panic!("{report}")
        };
        assert_eq!(upgraded.activity, Activity::Upgraded);
        assert_eq!(
            upgraded.last_request.as_ref().unwrap().to_string(),
            "GET /echo"
        );
        assert!(upgraded.dropped);
        assert!(client.is_closed_by_server());
        let error = endings.blocking_recv().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    });
}

#[test]
fn a_stop_can_leave_upgraded_connections_alone() {
    on_each_driver(|driver| {
        let (mut server, mut endings) = start(driver, false);
        let mut client = upgrade(&server);
        server.signal();
        let report = server.report_and(|| {
            client.send("end");
            assert_eq!(client.read_exact(3), b"end");
            assert!(endings.blocking_recv().unwrap().is_ok());
        });
        assert!(report.drained_in < PATIENCE);
        let [upgraded] = report.open.as_slice() else {
            panic!("{report}")
        };
        assert_eq!(
            (upgraded.activity, upgraded.dropped),
            (Activity::Upgraded, false)
        );
    });
}

#[test]
fn an_upgraded_connection_keeps_its_place_under_the_limit() {
    on_each_driver(|driver| {
        let (ended, _endings) = mpsc::unbounded_channel();
        let server = Server::start_with(driver, Echo { ended }, |serve| serve.max_connections(1));
        let mut first = upgrade(&server);
        assert!(wait_until(|| server.monitor.counts().limit_pauses == 1));
        let mut second = server.connect();
        second.send(REQUEST);
        first.send("two");
        assert_eq!(first.read_exact(3), b"two");
        assert_eq!(server.monitor.counts().connections, 1);
        first.send("end");
        assert_eq!(first.read_exact(3), b"end");
        assert_eq!(second.head().unwrap().0, 101);
    });
}

/// As WebSocket does it over HTTP/2 (RFC 8441): an extended CONNECT, and then a
/// stream that is no HTTP beside others that are.
#[test]
fn an_upgraded_stream_of_http2_keeps_its_connection() {
    on_each_driver(|driver| {
        let service = hyper::service::service_fn(async |request: Request<Incoming>| {
            if request.method() == Method::CONNECT {
                tapio::spawn(async {
                    let upgraded = hyper::upgrade::on(request).await.unwrap();
                    let _ = echo(TapioIo::new(upgraded)).await;
                });
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        let server = Server::start_with(driver, service, |serve| {
            serve.idle_timeout(SHORT).drain_timeout(SHORT)
        });
        let _client = server.runtime.block_on(async {
            let stream = TcpStream::connect(server.addr).await.unwrap();
            let (mut sender, connection) =
                http2::handshake(TapioExecutor::new(), TapioIo::new(stream))
                    .await
                    .unwrap();
            tapio::spawn(connection);
            // The server's settings have come with its first answer.
            let plain = Request::get("http://test/")
                .body(Empty::<Bytes>::new())
                .unwrap();
            assert!(
                sender
                    .send_request(plain)
                    .await
                    .unwrap()
                    .status()
                    .is_success()
            );

            let mut connect = Request::connect("http://test/echo")
                .body(Empty::new())
                .unwrap();
            connect
                .extensions_mut()
                .insert(hyper::ext::Protocol::from_static("echo"));
            let answer = sender.send_request(connect).await.unwrap();
            assert!(answer.status().is_success());
            let mut echo = TapioIo::new(hyper::upgrade::on(answer).await.unwrap());
            for _ in 0..5 {
                echo.write_all(b"one").await.unwrap();
                let mut bytes = [0; 3];
                echo.read_exact(&mut bytes).await.unwrap();
                assert_eq!(&bytes, b"one");
                // Idle, as far as HTTP can see, for longer than is allowed.
                tapio::time::sleep(SHORT).await;
            }
            (sender, echo)
        });
        let open = server.monitor.open();
        assert_eq!((open.len(), open[0].activity), (1, Activity::Upgraded));
        let report = server.stop();
        assert_eq!(report.open.len(), 1, "{report}");
        assert!(report.open[0].dropped);
        assert_eq!(report.counts.idle_timeouts, 0);
    });
}
