//! The graceful stop, and what its report says.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use tapio::sync::Semaphore;
use tapio_http::{Activity, Protocol};

use crate::support::{PATIENCE, Server, on_each_driver, wait_until};

const SHORT: Duration = Duration::from_millis(100);

/// Answers of `/gate/..` come when the semaphore has a permit for them.
fn app(gate: &Arc<Semaphore>) -> Router {
    let gate = Arc::clone(gate);
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/large", get(|| async { Body::from(vec![b'x'; 64 << 20]) }))
        .route(
            "/gate/{name}",
            get(async move |Path(name): Path<String>| {
                gate.acquire().await.unwrap().forget();
                format!("through the gate: {name}")
            }),
        )
}

fn gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

#[test]
fn a_stop_with_nothing_open_is_clean() {
    on_each_driver(|driver| {
        let server = Server::start(driver, app(&gate()));
        let addr = server.addr;
        let report = server.stop();
        assert!(report.is_clean());
        assert_eq!(report.counts, tapio_http::Counts::default());
        assert!(
            report.to_string().ends_with("nothing left open"),
            "{report}"
        );
        assert_eq!(
            TcpStream::connect(addr).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn idle_connections_close_busy_ones_finish_and_the_port_refuses_at_once() {
    on_each_driver(|driver| {
        let gate = gate();
        let mut server =
            Server::start_with(driver, app(&gate), |serve| serve.drain_timeout(PATIENCE));
        // Orders go out oldest first: once the others are closed, the busy one
        // has its order as well.
        let mut busy = server.connect();
        assert_eq!(busy.get("/").text(), "hello");
        busy.send_get("/gate/busy");
        let mut fresh = server.connect();
        let mut idle = server.connect();
        assert_eq!(idle.get("/").text(), "hello");
        server.wait_for("three connections, one busy", |open| {
            open.len() == 3
                && open
                    .iter()
                    .filter(|connection| connection.activity == Activity::Busy)
                    .count()
                    == 1
        });

        server.signal();
        assert!(fresh.is_closed_by_server());
        assert!(idle.is_closed_by_server());
        assert_eq!(
            TcpStream::connect(server.addr).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        server.wait_for("the busy one alone", |open| open.len() == 1);

        gate.add_permits(1);
        let answer = busy.answer();
        assert_eq!(answer.text(), "through the gate: busy");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(busy.is_closed_by_server());
        let report = server.report();
        assert!(report.is_clean(), "{report}");
        assert_eq!((report.counts.connections, report.counts.requests), (3, 3));
        assert_eq!(report.counts.failed, 0);
    });
}

#[test]
fn what_is_open_at_the_deadline_is_cut_and_named() {
    on_each_driver(|driver| {
        let server = Server::start_with(driver, app(&gate()), |serve| serve.drain_timeout(SHORT));
        let mut stuck = server.connect();
        assert_eq!(stuck.get("/").text(), "hello");
        stuck.send_get("/gate/stuck?password=secret");
        server.wait_for("the first", |open| {
            open.len() == 1 && open[0].activity == Activity::Busy
        });
        let mut half = server.connect();
        half.send("POST /half HTTP/1.1\r\nhost:");
        server.wait_for("the second", |open| {
            open.len() == 2 && open[1].activity == Activity::Receiving
        });
        let mut deaf = server.connect();
        deaf.send_get("/large");
        server.wait_for("the third", |open| {
            open.len() == 3 && open[2].activity == Activity::Sending
        });

        let report = server.stop();
        assert!(report.drained_in >= SHORT);
        let [first, second, third] = report.open.as_slice() else {
            panic!("{report}")
        };
        assert_eq!(first.peer.to_string(), stuck.local_addr().to_string());
        assert_eq!(
            (first.protocol, first.activity),
            (Protocol::Http1, Activity::Busy)
        );
        assert_eq!((first.requests, first.in_flight), (2, 1));
        assert_eq!(
            first.last_request.as_ref().unwrap().to_string(),
            "GET /gate/stuck"
        );
        assert_eq!(second.peer.to_string(), half.local_addr().to_string());
        assert_eq!((second.activity, second.requests), (Activity::Receiving, 0));
        assert_eq!(second.last_request, None);
        assert_eq!(third.peer.to_string(), deaf.local_addr().to_string());
        assert_eq!((third.activity, third.requests), (Activity::Sending, 1));
        assert!(
            report.open.iter().all(|connection| connection.dropped),
            "{report:?}"
        );
        assert!(first.since < second.since && second.open_for >= SHORT);

        let text = report.to_string();
        let line = format!("{} (HTTP/1, busy), open for", stuck.local_addr());
        assert!(
            text.contains(&line) && text.contains("2 requests, last GET /gate/stuck"),
            "{text}"
        );

        assert!(stuck.is_closed_by_server());
        assert!(half.is_closed_by_server());
        deaf.read_to_end();
    });
}

/// What cannot be taken away is not said to be gone.
#[test]
fn a_connection_whose_handler_blocks_its_thread_is_named_as_still_there() {
    on_each_driver(|driver| {
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(Some(blocked)));
        let app = Router::new().route(
            "/block",
            get(async move || {
                let blocked = blocked.lock().unwrap().take().unwrap();
                blocked.recv_timeout(PATIENCE).unwrap();
            }),
        );
        let mut server = Server::start_with(driver, app, |serve| serve.drain_timeout(SHORT));
        let monitor = server.monitor.clone();
        let mut client = server.connect();
        client.send_get("/block");
        server.wait_for("a busy one", |open| {
            open.len() == 1 && open[0].activity == Activity::Busy
        });
        server.signal();
        // The runtime cannot end before its worker is free again.
        let report = server.report_and(|| release.send(()).unwrap());
        assert_eq!(report.open.len(), 1, "{report}");
        assert!(!report.open[0].dropped);
        assert!(wait_until(|| monitor.open_count() == 0));
    });
}

#[test]
fn the_request_being_answered_is_the_last_of_its_connection() {
    on_each_driver(|driver| {
        let gate = gate();
        let mut server = Server::start(driver, app(&gate));
        let mut client = server.connect();
        client.send_get("/gate/1");
        server.wait_for("a busy one", |open| {
            open.len() == 1 && open[0].activity == Activity::Busy
        });
        // A second request waits in the socket behind the first: the first is
        // the last that is answered, and says so.
        client.send_get("/gate/2");
        let mut idle = server.connect();
        assert_eq!(idle.get("/").text(), "hello");
        server.signal();
        assert!(idle.is_closed_by_server());
        gate.add_permits(2);
        let answer = client.answer();
        assert_eq!(answer.text(), "through the gate: 1");
        assert_eq!(answer.header("connection"), Some("close"));
        client.read_to_end();
        assert!(server.report().is_clean());
    });
}

#[test]
fn without_a_deadline_the_last_one_is_waited_for() {
    on_each_driver(|driver| {
        let gate = gate();
        let mut server = Server::start_with(driver, app(&gate), |serve| serve.drain_timeout(None));
        let mut client = server.connect();
        client.send_get("/gate/late");
        server.wait_for("a busy one", |open| {
            open.len() == 1 && open[0].activity == Activity::Busy
        });
        server.signal();
        assert!(wait_until(|| TcpStream::connect(server.addr).is_err()));
        gate.add_permits(1);
        assert_eq!(client.answer().text(), "through the gate: late");
        assert!(server.report().is_clean());
    });
}

#[test]
fn a_dropped_server_closes_its_port_and_its_connections_go_on() {
    on_each_driver(|driver| {
        let runtime = driver.runtime();
        let listener = runtime
            .block_on(tapio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = runtime.block_on(async {
            let mut serving = tapio_http::serve(listener, app(&gate())).into_future();
            let client = tapio::task::spawn_blocking(move || {
                let mut client = crate::support::Client::connect(addr);
                assert_eq!(client.get("/").text(), "hello");
                client
            });
            tapio::select! {
                _ = &mut serving => unreachable!("nobody tells it to stop"),
                client = client => client.unwrap(),
            }
        });
        assert!(wait_until(|| TcpStream::connect(addr).is_err()));
        assert_eq!(client.get("/").text(), "hello");
    });
}
