//! Input that is no HTTP: it gets an error and harms nobody else.

use axum::Router;
use axum::routing::get;

use crate::support::{Server, on_each_driver, wait_until};

fn app() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[test]
fn junk_is_answered_with_an_error_and_closed() {
    let long_path = format!(
        "GET /{} HTTP/1.1\r\nhost: test\r\n\r\n",
        "x".repeat(100_000)
    );
    let long_headers = format!(
        "GET / HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n",
        "y".repeat(1_000_000)
    );
    let many_headers = format!(
        "GET / HTTP/1.1\r\nhost: test\r\n{}\r\n",
        "a: b\r\n".repeat(1_000)
    );
    let junk: [(&[u8], &[u16]); 9] = [
        (b"GARBAGE\r\n\r\n", &[400]),
        (b"\0\0\0\0\0\0\0\0\r\n\r\n", &[400]),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello",
            &[400],
        ),
        (b"GET / HTTP/9.9\r\n\r\n", &[400, 505]),
        (b"GET / HTTP/1.1\r\nhost test\r\n\r\n", &[400]),
        (
            b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: -1\r\n\r\n",
            &[400],
        ),
        (long_path.as_bytes(), &[414]),
        (long_headers.as_bytes(), &[431]),
        (many_headers.as_bytes(), &[431]),
    ];
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        let mut bystander = server.connect();
        for (bytes, statuses) in junk {
            let what = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
            let mut client = server.connect();
            // The server may close before it has taken everything.
            let _ = client.try_send(bytes);
            match client.try_answer() {
                Ok(answer) => assert!(statuses.contains(&answer.status), "{what:?}: {answer:?}"),
                // What the server had not read when it closed resets the
                // connection, which may overtake the answer.
                Err(error) => assert!(bytes.len() > 50_000, "{what:?}: {error}"),
            }
            assert!(client.is_closed_by_server(), "{what:?}");
            assert_eq!(bystander.get("/").text(), "hello", "after {what:?}");
        }
        drop(bystander);
        let report = server.stop();
        assert_eq!(report.counts.failed, junk.len() as u64);
    });
}

#[test]
fn clients_that_leave_early_harm_nobody() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        for beginning in [
            "",
            "G",
            "PRI * HT",
            "GET / HTTP/1.1\r\nhost:",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            let mut client = server.connect();
            client.send(beginning);
        }
        assert!(wait_until(
            || server.monitor.counts().connections == 5 && server.monitor.open_count() == 0
        ));
        assert_eq!(server.connect().get("/").text(), "hello");
        assert!(server.stop().is_clean());
    });
}

#[test]
fn a_preface_without_http2_behind_it_is_closed() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        let mut client = server.connect();
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n");
        client.read_to_end();
        assert_eq!(server.connect().get("/").text(), "hello");
        assert_eq!(server.stop().counts.failed, 1);
    });
}
