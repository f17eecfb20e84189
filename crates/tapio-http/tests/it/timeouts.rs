//! Clients that dawdle.

use std::io;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use tapio_http::Activity;

use crate::support::{Server, on_each_driver, wait_until};

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(600);

fn app() -> Router {
    Router::new().route("/", get(|| async { "hello" })).route(
        "/slow",
        get(|| async {
            tapio::time::sleep(4 * SHORT).await;
            "slow"
        }),
    )
}

#[test]
fn a_connection_that_sends_nothing_is_closed() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.header_read_timeout(SHORT).idle_timeout(None)
        });
        let began = Instant::now();
        let mut client = server.connect();
        assert!(client.is_closed_by_server());
        assert!(
            began.elapsed() >= SHORT,
            "closed after {:?}",
            began.elapsed()
        );
        assert_eq!(server.stop().counts.header_timeouts, 1);
    });
}

/// Slowloris: bytes keep coming, and the head never ends.
#[test]
fn a_head_that_drips_is_cut_off() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.header_read_timeout(SHORT).idle_timeout(None)
        });
        // On a new connection, and where a request was served before.
        for already_served in [false, true] {
            let mut client = server.connect();
            if already_served {
                assert_eq!(client.get("/").text(), "hello");
            }
            let began = Instant::now();
            client.send("GET / HTTP/1.1\r\nhost: test\r\n");
            let failed = loop {
                assert!(began.elapsed() < 50 * SHORT, "it is never cut off");
                if let Err(error) = client.try_send("x-drip: drop\r\n") {
                    break error;
                }
                std::thread::sleep(SHORT / 20);
            };
            let expected = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
            assert!(expected.contains(&failed.kind()), "{failed}");
            assert!(
                began.elapsed() >= SHORT,
                "cut off after {:?}",
                began.elapsed()
            );
        }
        assert_eq!(server.stop().counts.header_timeouts, 2);
    });
}

#[test]
fn many_dripping_clients_do_not_keep_a_good_one_from_its_answer() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.header_read_timeout(LONG));
        let mut dripping: Vec<_> = (0..200).map(|_| server.connect()).collect();
        for client in &mut dripping {
            client.send("GET / HTTP/1.1\r\nx: ");
        }
        server.wait_for("200 half requests", |open| {
            open.iter()
                .filter(|connection| connection.activity == Activity::Receiving)
                .count()
                == 200
        });
        assert_eq!(server.connect().get("/").text(), "hello");
    });
}

#[test]
fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.header_read_timeout(LONG).idle_timeout(SHORT)
        });
        let mut client = server.connect();
        // Used more often than the timeout asks, for longer than the timeout.
        let began = Instant::now();
        while began.elapsed() < 4 * SHORT {
            assert_eq!(client.get("/").text(), "hello");
            std::thread::sleep(SHORT / 10);
        }
        let idle_since = Instant::now();
        assert!(client.is_closed_by_server());
        assert!(
            idle_since.elapsed() >= SHORT / 2,
            "closed after {:?}",
            idle_since.elapsed()
        );
        let counts = server.stop().counts;
        assert_eq!((counts.idle_timeouts, counts.header_timeouts), (1, 0));
    });
}

#[test]
fn without_an_idle_timeout_a_connection_stays() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.header_read_timeout(SHORT).idle_timeout(None)
        });
        let mut client = server.connect();
        assert_eq!(client.get("/").text(), "hello");
        std::thread::sleep(4 * SHORT);
        assert_eq!(client.get("/").text(), "hello");
        assert_eq!(server.monitor.counts().header_timeouts, 0);
    });
}

#[test]
fn no_timeout_interrupts_an_answer() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| {
            serve.header_read_timeout(SHORT).idle_timeout(SHORT)
        });
        let mut client = server.connect();
        assert_eq!(client.get("/slow").text(), "slow");
        assert_eq!(client.get("/slow").text(), "slow");
        assert!(client.is_closed_by_server());
    });
}

#[test]
fn an_idle_http2_connection_is_told_and_closed() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(), |serve| serve.idle_timeout(SHORT));
        let mut client = server.connect();
        // The preface and an empty SETTINGS frame, and then nothing: not even an
        // answer to the server's ping, so that asking it to close is not enough.
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        let frames = client.read_to_end();
        assert!(
            frames
                .windows(5)
                .any(|frame| frame[..2] == [0, 0] && frame[3] == 7),
            "no GOAWAY in {frames:?}"
        );
        assert!(wait_until(|| server.monitor.open_count() == 0));
        assert_eq!(server.stop().counts.idle_timeouts, 1);
    });
}
