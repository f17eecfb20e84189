//! Clients that do not send a body, or do not read a response.

use std::convert::Infallible;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::{get, post};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::client::conn::http2::{Builder, SendRequest};
use tapio::net::TcpStream;
use tapio::time::{Sleep, sleep};
use tapio_http::rt::{TapioExecutor, TapioIo};

use crate::support::{Client, Server, on_each_driver, wait_until};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(600);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `SETTINGS_INITIAL_WINDOW_SIZE` is 0: no stream may send anything.
const NO_WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// The same with the largest window, and the connection's made as large.
const ALL_WINDOWS: &[u8] = &[
    0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff, //
    0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0,
];

/// More than the kernel keeps for a reader.
const LARGE_BYTES: usize = 32 << 20;

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/length",
            post(
                async |request: Request| match request.into_body().collect().await {
                    Ok(body) => (StatusCode::OK, body.to_bytes().len().to_string()),
                    Err(error) => (StatusCode::REQUEST_TIMEOUT, error.to_string()),
                },
            ),
        )
        .route("/echo", post(async |request: Request| request.into_body()))
        .route(
            "/deaf",
            post(async |request: Request| {
                // It does not look at its body again, and never answers.
                let _body = poll_once(request.into_body().collect()).await;
                std::future::pending::<()>().await;
            }),
        )
        .route(
            "/elsewhere",
            post(async |request: Request| {
                let reading = tapio::spawn(async { request.into_body().collect().await });
                match reading.await.unwrap() {
                    Ok(_) => StatusCode::OK,
                    Err(_) => StatusCode::REQUEST_TIMEOUT,
                }
            }),
        )
        .route(
            "/slow",
            post(async |request: Request| {
                sleep(6 * SHORT).await;
                let body = request.into_body().collect().await.unwrap();
                body.to_bytes().len().to_string()
            }),
        )
        .route("/large", get(async || vec![b'x'; LARGE_BYTES]))
        .route("/drip", get(async || Body::new(Drip::new(8, SHORT))))
        .layer(axum::extract::DefaultBodyLimit::disable())
}

/// Polls a future, and gives it back.
async fn poll_once<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    let mut is_polled = false;
    poll_fn(|cx| {
        // Once more would not be once.
        if !mem::replace(&mut is_polled, true) {
            assert!(future.as_mut().poll(cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    future
}

/// A body of single bytes with a pause before each.
struct Drip {
    left: u32,
    pause: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Drip {
    fn new(left: u32, pause: Duration) -> Self {
        Self {
            left,
            pause,
            sleep: Box::pin(sleep(pause)),
        }
    }
}

impl hyper::body::Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.sleep.as_mut().poll(cx));
        self.left -= 1;
        self.sleep = Box::pin(sleep(self.pause));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

/// A `GET` as the first stream of HTTP/2, after these frames.
fn get_by_http2(client: &mut Client, frames: &[u8], path: &str) {
    let length = u8::try_from(path.len()).unwrap();
    let block = [
        &[0x82, 0x86, 0x04, length][..],
        path.as_bytes(),
        b"\x01\x04test",
    ]
    .concat();
    let length = u8::try_from(block.len()).unwrap();
    let head = [0, 0, length, 1, 0b101, 0, 0, 0, 1];
    client.send([PREFACE, frames, &head, &block].concat());
}

async fn connect_by_http2(server: &Server) -> SendRequest<Body> {
    let stream = TapioIo::new(TcpStream::connect(server.addr).await.unwrap());
    let connecting = Builder::new(TapioExecutor::new()).handshake(stream);
    let (sender, connection) = connecting.await.unwrap();
    drop(tapio::spawn(connection));
    sender
}

fn is_empty(server: &Server) -> bool {
    wait_until(|| server.monitor.open_count() == 0)
}

#[test]
fn a_body_that_never_comes_is_answered_and_closed() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.body_timeout(SHORT));
        for head in [
            "content-length: 10\r\n\r\n",
            "content-length: 10\r\n\r\nhalf",
            "transfer-encoding: chunked\r\n\r\n",
            "transfer-encoding: chunked\r\n\r\n5\r\nhal",
        ] {
            // On a new connection, and where a request was served before.
            for already_served in [false, true] {
                let mut client = server.connect();
                if already_served {
                    assert_eq!(client.get("/").text(), "hello");
                }
                let began = Instant::now();
                client.send(format!("POST /length HTTP/1.1\r\nhost: test\r\n{head}"));
                let answer = client.answer();
                assert_eq!(answer.status, 408, "{head:?}");
                assert!(answer.text().contains("too slowly"), "{answer:?}");
                assert!(client.is_closed_by_server());
                assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
            }
        }
        assert_eq!(server.stop().counts.body_timeouts, 8);
    });
}

#[test]
fn a_body_that_trickles_is_no_better() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.body_timeout(SHORT));
        let mut client = server.connect();
        client.send("POST /length HTTP/1.1\r\nhost: test\r\ncontent-length: 100000\r\n\r\n");
        let began = Instant::now();
        while client.try_send("x").is_ok() {
            assert!(began.elapsed() < 100 * SHORT, "it is never cut off");
            thread::sleep(SHORT / 20);
        }
        assert!(is_empty(&server));
        assert_eq!(server.stop().counts.body_timeouts, 1);
    });
}

#[test]
fn a_service_that_does_not_answer_to_that_loses_its_connection() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.body_timeout(SHORT));
        for path in ["/deaf", "/echo"] {
            let mut client = server.connect();
            client.send(format!(
                "POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n"
            ));
            client.read_to_end();
        }
        assert!(is_empty(&server));
        assert_eq!(server.stop().counts.body_timeouts, 2);
    });
}

#[test]
fn a_body_that_another_task_reads_has_its_limit_too() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.body_timeout(SHORT));
        for begin in ["", "half"] {
            let mut client = server.connect();
            client.send(format!(
                "POST /elsewhere HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n{begin}"
            ));
            assert_eq!(client.answer().status, 408);
        }
        assert_eq!(server.stop().counts.body_timeouts, 2);
    });
}

#[test]
fn fifty_of_them_do_not_shut_a_server_of_fifty() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.body_timeout(SHORT).max_connections(50)
        });
        let mut holding: Vec<_> = (0..50).map(|_| server.connect()).collect();
        for client in &mut holding {
            client.send("POST /length HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\n");
        }
        assert_eq!(server.connect().get("/").text(), "hello");
    });
}

#[test]
fn a_body_over_http2_has_its_limit_too() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.body_timeout(SHORT));
        server.runtime.block_on(async {
            let mut sender = connect_by_http2(&server).await;
            for pause in [LONG, SHORT / 10] {
                let body = Body::new(Drip::new(100_000, pause));
                let request = Request::post("http://test/length").body(body).unwrap();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!(answer.status(), 408, "{pause:?}");
            }
            // Only those streams have ended.
            let body = Body::from("whole");
            let request = Request::post("http://test/length").body(body).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "5");
        });
        let counts = server.monitor.counts();
        assert_eq!((counts.connections, counts.body_timeouts), (1, 2));
    });
}

#[test]
fn a_slow_service_and_a_client_that_keeps_up_are_left_alone() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.body_timeout(4 * SHORT).write_timeout(4 * SHORT)
        });
        let mut client = server.connect();
        client.send("POST /slow HTTP/1.1\r\nhost: test\r\ncontent-length: 4\r\n\r\nhere");
        assert_eq!(client.answer().text(), "4");
        assert_eq!(client.get("/drip").text(), "xxxxxxxx");
        server.runtime.block_on(async {
            let mut sender = connect_by_http2(&server).await;
            let request = Request::get("http://test/drip").body(Body::empty());
            let answer = sender.send_request(request.unwrap()).await.unwrap();
            assert_eq!(
                answer.into_body().collect().await.unwrap().to_bytes(),
                "xxxxxxxx"
            );
        });

        let server = Server::start_with(driver, app(), |serve| {
            serve.body_timeout(5 * SHORT).min_rate(100)
        });
        let mut client = server.connect();
        client.send("POST /length HTTP/1.1\r\nhost: test\r\ncontent-length: 15000\r\n\r\n");
        for _ in 0..150 {
            client.send([b'x'; 100]);
            thread::sleep(SHORT / 10);
        }
        assert_eq!(client.answer().text(), "15000");
        // Bodies that come after their heads, on one connection, for many spans.
        let began = Instant::now();
        while began.elapsed() < 15 * SHORT {
            client.send("POST /length HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n");
            thread::sleep(SHORT);
            client.send("ok");
            assert_eq!(client.answer().text(), "2");
        }
        assert_eq!(server.stop().counts.body_timeouts, 0);
    });
}

#[test]
fn a_response_that_nobody_reads_is_given_up() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.write_timeout(SHORT).idle_timeout(LONG)
        });
        let mut client = server.connect();
        client.send_get("/large");
        assert!(is_empty(&server));
        for frames in [ALL_WINDOWS, NO_WINDOW] {
            let mut client = server.connect();
            get_by_http2(&mut client, frames, "/large");
            server.wait_for("the request", |open| {
                open.iter().any(|open| open.requests == 1)
            });
            assert!(is_empty(&server));
        }
        assert_eq!(server.stop().counts.write_timeouts, 3);
    });
}

#[test]
fn a_response_that_is_read_in_drops_is_given_up_and_a_slow_one_is_not() {
    on_each_driver(|driver| {
        // 200 kB have to be read in each span.
        let server = Server::start_with(driver, app(), |serve| {
            serve.write_timeout(SHORT).min_rate(1_000_000)
        });
        let mut client = server.connect();
        client.send_get("/large");
        while server.monitor.counts().write_timeouts == 0 {
            client.read_exact(200);
            thread::sleep(SHORT / 20);
        }
        assert_eq!(server.stop().counts.write_timeouts, 1);

        // The kernel takes more in one piece than this client reads in a span.
        let server = Server::start_with(driver, app(), |serve| serve.write_timeout(5 * SHORT));
        let mut client = server.connect();
        client.send_get("/large");
        let (_, headers) = client.head().unwrap();
        assert!(headers.iter().any(|(name, _)| name == "content-length"));
        let slow_bytes = 120 * 16_384;
        for _ in 0..120 {
            client.read_exact(16_384);
            thread::sleep(SHORT / 5);
        }
        client.read_exact(LARGE_BYTES - slow_bytes);
        assert_eq!(server.stop().counts.write_timeouts, 0);
    });
}

#[test]
fn a_connection_of_http2_without_a_request_does_not_stay() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.header_read_timeout(SHORT).idle_timeout(LONG)
        });
        let mut client = server.connect();
        client.send([PREFACE, NO_WINDOW].concat());
        client.read_to_end();
        assert_eq!(server.stop().counts.idle_timeouts, 1);
    });
}
