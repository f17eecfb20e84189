//! HTTP/1.1 over TCP, byte by byte where it matters.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::routing::{any, get, post};
use http_body_util::BodyExt;

use crate::support::{Server, on_each_driver};

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/length",
            post(async |body: Body| body.collect().await.unwrap().to_bytes().len().to_string()),
        )
        .route("/echo", post(async |request: Request| request.into_body()))
        .route(
            "/n/{n}",
            any(async |method: Method, uri: Uri| format!("{method} {}", uri.path())),
        )
        .layer(axum::extract::DefaultBodyLimit::disable())
}

#[test]
fn one_connection_serves_many_requests() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        let mut client = server.connect();
        for n in 0..100 {
            let answer = client.get(&format!("/n/{n}"));
            assert_eq!(answer.status, 200);
            assert_eq!(answer.text(), format!("GET /n/{n}"));
        }
        let open = server.monitor.open();
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].requests, 100);
        assert_eq!(open[0].peer.to_string(), client.local_addr().to_string());
        let last = open[0].last_request.as_ref().unwrap();
        assert_eq!(last.to_string(), "GET /n/99");

        let report = server.stop();
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.counts.requests, 100);
        assert_eq!(report.counts.connections, 1);
        assert_eq!(report.counts.failed, 0);
    });
}

#[test]
fn close_is_honoured_and_answered() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        let mut client = server.connect();
        client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        let answer = client.answer();
        assert_eq!(answer.text(), "hello");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(client.is_closed_by_server());
    });
}

#[test]
fn without_keep_alive_each_connection_has_one_request() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.http1_keep_alive(false));
        let mut client = server.connect();
        assert_eq!(client.get("/").text(), "hello");
        assert!(client.is_closed_by_server());
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        let mut client = server.connect();
        let mut requests = String::new();
        for n in 0..200 {
            requests += &format!("GET /n/{n} HTTP/1.1\r\nhost: test\r\n\r\n");
        }
        client.send(requests);
        for n in 0..200 {
            assert_eq!(client.answer().text(), format!("GET /n/{n}"));
        }
    });
}

#[test]
fn a_request_may_come_byte_by_byte() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        let mut client = server.connect();
        for byte in b"GET /n/1 HTTP/1.1\r\nhost: test\r\n\r\n" {
            client.send([*byte]);
        }
        assert_eq!(client.answer().text(), "GET /n/1");
    });
}

/// The beginning of the HTTP/2 preface is also a fine beginning of a request.
#[test]
fn what_begins_like_http2_may_be_http1() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        for method in ["P", "PR", "PRI", "PRIX"] {
            let mut client = server.connect();
            // The server sees the first letter alone, and it could be HTTP/2.
            client.send("P");
            server.wait_for("a byte of the request", |open| {
                open.iter()
                    .any(|connection| connection.activity == tapio_http::Activity::Receiving)
            });
            client.send(format!(
                "{} /n/1 HTTP/1.1\r\nhost: test\r\n\r\n",
                &method[1..]
            ));
            assert_eq!(client.answer().text(), format!("{method} /n/1"));
        }
    });
}

#[test]
fn large_bodies_go_both_ways() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        let mut client = server.connect();
        let body: Vec<u8> = (0..8 << 20_u32).map(|n: u32| (n % 251) as u8).collect();

        // The peer must read while it writes: the server echoes as it reads.
        let head = format!(
            "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = std::thread::scope(|scope| {
            let mut writer = client.second_half();
            let body = &body;
            scope.spawn(move || {
                writer.send(head);
                writer.send(body);
            });
            client.answer()
        });
        assert_eq!(answer.status, 200);
        assert!(answer.body == body, "the echo differs");

        // The same in chunks, on the same connection.
        client.send("POST /length HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
        for chunk in body.chunks(100_000) {
            client.send(format!("{:x}\r\n", chunk.len()));
            client.send(chunk);
            client.send("\r\n");
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.answer().text(), body.len().to_string());
    });
}

#[test]
fn a_body_is_asked_for_when_the_client_waits_for_that() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        let mut client = server.connect();
        client.send("POST /length HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n");
        assert_eq!(client.head().unwrap().0, 100);
        client.send("12345");
        assert_eq!(client.answer().text(), "5");
    });
}

#[test]
fn hyper_settings_reach_hyper() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.configure_http1(|http1| {
                http1.half_close(true).auto_date_header(false);
            })
        });
        let mut client = server.connect();
        client.send_get("/");
        client.finish_sending();
        let answer = client.answer();
        assert_eq!(answer.text(), "hello");
        assert_eq!(answer.header("date"), None);
    });
}

#[test]
fn http1_can_be_turned_off() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.http1(false));
        let mut client = server.connect();
        client.send_get("/");
        let bytes = client.read_to_end();
        assert!(
            !bytes.starts_with(b"HTTP/1"),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    });
}

#[test]
fn nothing_to_serve_is_refused() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.http1(false).http2(false));
        let error = server.end().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    });
}
