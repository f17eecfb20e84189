//! axum's own `ws`, which needs the context of tokio's runtime that `tapio`
//! keeps under its feature `compat`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use tapio::sync::watch;
use tapio_http::Activity;
use tungstenite::Message as Sent;

use crate::support::{Driver, PATIENCE, Server, on_each_driver};

type Client = tungstenite::WebSocket<Patient>;

/// A socket whose calls are made again when they were interrupted: tungstenite
/// would give up. The kernel interrupts a thread some milliseconds after a ring
/// that the thread has used was closed, as it is when a driver is chosen.
struct Patient(TcpStream);

impl Read for Patient {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buf) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }
}

impl Write for Patient {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(buf) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Echoes until the client closes, or until the server is told to stop: then it
/// says goodbye.
async fn echo(mut socket: WebSocket, mut stopping: watch::Receiver<bool>) {
    loop {
        tapio::select! {
            message = socket.recv() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            () = told(&mut stopping) => {
                let _ = socket.send(Message::Text("goodbye".into())).await;
                let _ = socket.send(Message::Close(None)).await;
                return;
            }
        }
    }
}

async fn told(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone means the end as well.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

async fn upgrade(
    upgrade: WebSocketUpgrade,
    State(stopping): State<watch::Receiver<bool>>,
) -> Response {
    upgrade.on_upgrade(|socket| echo(socket, stopping))
}

fn start(driver: Driver, drain: Duration) -> (Server, watch::Sender<bool>) {
    let (stop, stopping) = watch::channel(false);
    let app = Router::new()
        .route("/ws", any(upgrade))
        .with_state(stopping);
    let server = Server::start_with(driver, app, |serve| serve.drain_timeout(drain));
    (server, stop)
}

fn connect(server: &Server) -> Client {
    let stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let url = format!("ws://{}/ws", server.addr);
    tungstenite::client(url, Patient(stream)).unwrap().0
}

fn says(client: &mut Client, message: impl Into<Sent>) {
    let message = message.into();
    client.send(message.clone()).unwrap();
    assert!(client.read().unwrap() == message, "the echo differs");
}

#[test]
fn websockets_of_axum_are_served() {
    on_each_driver(|driver| {
        let (server, _stop) = start(driver, PATIENCE);
        let mut clients: Vec<_> = (0..50).map(|_| connect(&server)).collect();
        for round in 0..3 {
            for (n, client) in clients.iter_mut().enumerate() {
                says(client, format!("{round}: hello from {n}"));
            }
        }
        says(&mut clients[0], vec![7; 4 << 20]);
        server.wait_for("50 upgraded connections", |open| {
            let upgraded = |open: &&tapio_http::OpenConnection| open.activity == Activity::Upgraded;
            open.iter().filter(upgraded).count() == 50
        });
        for client in &mut clients {
            client.close(None).unwrap();
            while client.read().is_ok() {}
        }
        server.wait_for("the end of all", <[_]>::is_empty);
        assert!(server.stop().is_clean());
    });
}

#[test]
fn websockets_that_watch_the_signal_end_well() {
    on_each_driver(|driver| {
        let (mut server, stop) = start(driver, PATIENCE);
        let mut client = connect(&server);
        says(&mut client, "hello");
        stop.send(true).unwrap();
        server.signal();
        assert_eq!(client.read().unwrap(), Sent::text("goodbye"));
        assert_eq!(client.read().unwrap(), Sent::Close(None));
        drop(client);
        assert!(server.report().is_clean());
    });
}

#[test]
fn websockets_that_do_not_are_cut_and_named() {
    on_each_driver(|driver| {
        let (server, _stop) = start(driver, Duration::from_millis(100));
        let mut client = connect(&server);
        says(&mut client, "hello");
        let report = server.stop();
        let [open] = report.open.as_slice() else {
            panic!("{report}")
        };
        assert_eq!((open.activity, open.dropped), (Activity::Upgraded, true));
        assert_eq!(open.last_request.as_ref().unwrap().to_string(), "GET /ws");
        assert!(client.read().is_err());
    });
}

/// WebSocket over HTTP/2 (RFC 8441) begins with an extended CONNECT.
#[test]
fn http2_offers_extended_connect() {
    on_each_driver(|driver| {
        let (server, _stop) = start(driver, PATIENCE);
        let mut client = server.connect();
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        let head = client.read_exact(9);
        let settings = client.read_exact(usize::from(head[2]));
        let connect = settings.chunks(6).find(|setting| setting[..2] == [0, 8]);
        assert_eq!(connect, Some(&[0, 8, 0, 0, 0, 1][..]));
    });
}
