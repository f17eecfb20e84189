//! HTTP/2, with hyper's client and, where the bytes matter, by hand.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::routing::{get, post};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{Builder, SendRequest};
use tapio::net::TcpStream;
use tapio::sync::Semaphore;
use tapio_http::rt::{TapioExecutor, TapioIo, TapioTimer};
use tapio_http::{Activity, Protocol};

use crate::support::{PATIENCE, Server, on_each_driver};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

fn app(gate: &Arc<Semaphore>) -> Router {
    let gate = Arc::clone(gate);
    Router::new()
        .route("/n/{n}", get(async |Path(n): Path<u32>| n.to_string()))
        .route("/echo", post(async |request: Request| request.into_body()))
        .route(
            "/gate",
            get(async move || {
                gate.acquire().await.unwrap().forget();
                "through the gate"
            }),
        )
        .layer(axum::extract::DefaultBodyLimit::disable())
}

fn gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

async fn connect(server: &Server) -> SendRequest<Body> {
    let stream = TapioIo::new(TcpStream::connect(server.addr).await.unwrap());
    let (sender, connection) = Builder::new(TapioExecutor::new())
        .timer(TapioTimer::new())
        .keep_alive_interval(Duration::from_secs(5))
        .handshake(stream)
        .await
        .unwrap();
    tapio::spawn(connection);
    sender
}

fn get_request(path: &str) -> Request {
    Request::get(format!("http://test{path}"))
        .body(Body::new(Empty::<Bytes>::new()))
        .unwrap()
}

#[test]
fn streams_run_beside_each_other_on_one_connection() {
    on_each_driver(|driver| {
        let gate = gate();
        let server = Server::start(driver, app(&gate));
        server.runtime.block_on(async {
            let mut sender = connect(&server).await;
            let blocked = tapio::spawn(sender.send_request(get_request("/gate")));
            let answers: Vec<_> = (0..100)
                .map(|n| tapio::spawn(sender.send_request(get_request(&format!("/n/{n}")))))
                .collect();
            for (n, answer) in answers.into_iter().enumerate() {
                let body = answer.await.unwrap().unwrap().into_body();
                assert_eq!(body.collect().await.unwrap().to_bytes(), n.to_string());
            }
            let open = server.monitor.open();
            assert_eq!(
                (open.len(), open[0].protocol, open[0].requests),
                (1, Protocol::Http2, 101)
            );
            assert_eq!((open[0].activity, open[0].in_flight), (Activity::Busy, 1));
            gate.add_permits(1);
            assert!(blocked.await.unwrap().unwrap().status().is_success());
        });
    });
}

#[test]
fn large_bodies_go_both_ways() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app(&gate()));
        let sent: Bytes = (0..8 << 20_u32).map(|n: u32| (n % 251) as u8).collect();
        server.runtime.block_on(async {
            let mut sender = connect(&server).await;
            let request = Request::post("http://test/echo")
                .body(Body::new(Full::new(sent.clone())))
                .unwrap();
            let answer = sender.send_request(request).await.unwrap();
            let received = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(received == sent, "the echo differs");
        });
    });
}

#[test]
fn the_preface_may_come_in_pieces() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app(&gate()));
        let mut client = server.connect();
        for byte in PREFACE {
            client.send([*byte]);
        }
        client.send(EMPTY_SETTINGS);
        // The server's own SETTINGS frame comes first.
        let head = client.read_exact(9);
        assert_eq!(head[3..5], [4, 0], "{head:?}");
        server.wait_for("HTTP/2", |open| {
            open.len() == 1 && open[0].protocol == Protocol::Http2
        });
    });
}

#[test]
fn http2_can_be_the_only_one_or_turned_off() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(&gate()), |serve| serve.http1(false));
        server.runtime.block_on(async {
            let answer = connect(&server)
                .await
                .send_request(get_request("/n/1"))
                .await
                .unwrap();
            assert!(answer.status().is_success());
        });

        let server = Server::start_with(driver, app(&gate()), |serve| serve.http2(false));
        let mut client = server.connect();
        client.send(PREFACE);
        let bytes = client.read_to_end();
        assert!(
            bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 "),
            "{bytes:?}"
        );
        assert_eq!(server.connect().get("/n/1").text(), "1");
    });
}

#[test]
fn hyper_settings_reach_hyper() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(&gate()), |serve| {
            serve
                .http2_keep_alive(Duration::from_secs(1), Duration::from_secs(1))
                .configure_http2(|http2| {
                    http2.max_concurrent_streams(7);
                })
        });
        let mut client = server.connect();
        client.send(PREFACE);
        client.send(EMPTY_SETTINGS);
        let head = client.read_exact(9);
        let settings = client.read_exact(usize::from(head[2]));
        let max_streams = settings.chunks(6).find(|setting| setting[..2] == [0, 3]);
        assert_eq!(max_streams, Some(&[0, 3, 0, 0, 0, 7][..]));
    });
}

#[test]
fn a_graceful_stop_finishes_the_streams_and_refuses_new_ones() {
    on_each_driver(|driver| {
        let gate = gate();
        let mut server =
            Server::start_with(driver, app(&gate), |serve| serve.drain_timeout(PATIENCE));
        let (mut sender, answer) = server.runtime.block_on(async {
            let mut sender = connect(&server).await;
            let answer = tapio::spawn(sender.send_request(get_request("/gate")));
            (sender, answer)
        });
        server.wait_for("a busy stream", |open| {
            open.len() == 1 && open[0].in_flight == 1
        });
        server.signal();
        server.runtime.block_on(async {
            // The client closes when it has heard of the stop.
            while sender.ready().await.is_ok() {
                let refused = sender.send_request(get_request("/n/1")).await;
                if refused.is_err() {
                    break;
                }
            }
            gate.add_permits(1);
            let body = answer.await.unwrap().unwrap().into_body();
            assert_eq!(body.collect().await.unwrap().to_bytes(), "through the gate");
        });
        let report = server.report();
        assert!(report.is_clean(), "{report}");
    });
}

#[test]
fn a_stream_that_is_stuck_at_the_deadline_is_cut_and_named() {
    on_each_driver(|driver| {
        let mut server = Server::start_with(driver, app(&gate()), |serve| {
            serve.drain_timeout(Duration::from_millis(100))
        });
        let mut sender = server.runtime.block_on(connect(&server));
        let answer = server
            .runtime
            .spawn(sender.send_request(get_request("/gate")));
        server.wait_for("a busy stream", |open| {
            open.len() == 1 && open[0].in_flight == 1
        });
        server.signal();
        let handle = server.runtime.handle().clone();
        let report = server.report_and(|| {
            assert!(handle.block_on(answer).unwrap().is_err());
        });
        let [stuck] = report.open.as_slice() else {
            panic!("{report}")
        };
        assert_eq!(
            (stuck.protocol, stuck.activity, stuck.in_flight),
            (Protocol::Http2, Activity::Busy, 1)
        );
        assert_eq!(
            stuck.last_request.as_ref().unwrap().to_string(),
            "GET /gate"
        );
        assert!(stuck.dropped);
    });
}
