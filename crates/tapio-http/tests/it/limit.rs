//! The limit of connections, and accepting that fails.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

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

/// Set for the process that [`few_descriptors_server`] runs in.
const CHILD: &str = "TAPIO_HTTP_TEST_CHILD";

/// The server of the next test: it prints its address and runs until its
/// standard input ends. Without the variable it is no test and does nothing.
#[test]
fn few_descriptors_server() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    on_each_driver(|driver| {
        let server = Server::start(driver, app());
        writeln!(io::stdout(), "at {}", server.addr).unwrap();
        io::stdin().read_line(&mut String::new()).unwrap();
        let report = server.stop();
        writeln!(io::stdout(), "errors {}", report.counts.accept_errors).unwrap();
    });
}

#[test]
fn without_descriptors_a_server_waits_and_goes_on() {
    on_each_driver(|driver| {
        // The limit belongs to the whole process, so it gets one of its own.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "ulimit -n 64 && exec \"$0\" --exact limit::few_descriptors_server --nocapture",
            ])
            .arg(std::env::current_exe().unwrap())
            .env(CHILD, "1")
            .env("TAPIO_DRIVER", driver.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |word: &str| loop {
            let line = lines.next().expect("the server goes on").unwrap();
            if let Some((_, rest)) = line.split_once(word) {
                return rest.to_owned();
            }
        };
        let addr = after("at ").parse().unwrap();

        // More than it has descriptors for: the last ones are not answered.
        let mut clients: VecDeque<Client> = (0..80).map(|_| Client::connect(addr)).collect();
        assert_eq!(clients[0].get("/").text(), "hello");
        let last = clients.back_mut().unwrap();
        last.send_get("/");
        // As others leave, the last one gets its turn.
        let mut last = clients.pop_back().unwrap();
        clients.drain(..40);
        assert_eq!(last.answer().text(), "hello");
        drop(child.stdin.take());
        let errors: u64 = after("errors ").parse().unwrap();
        assert!(errors > 0, "it never ran out of descriptors");
        assert!(child.wait().unwrap().success());
    });
}
