//! A chat client that blocks.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message, WebSocket};

use crate::server::{PATIENCE, Server};

pub(crate) struct Client(pub(crate) WebSocket<TcpStream>);

impl Client {
    /// Connects without saying anything.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(
            TcpStream::connect(address).expect("the server accepts"),
            address,
        )
    }

    /// Connects with a small receive buffer, as a slow reader.
    pub(crate) fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket
            .set_recv_buffer_size(4 * 1024)
            .expect("a small buffer");
        socket.connect(&address.into()).expect("the server accepts");
        Self::over(socket.into(), address)
    }

    fn over(stream: TcpStream, address: SocketAddr) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let (socket, _) = tungstenite::client(format!("ws://{address}/ws"), stream)
            .unwrap_or_else(|error| panic!("no WebSocket: {error}"));
        Self(socket)
    }

    /// Connects and says hello; also gives what it was welcomed with.
    pub(crate) fn hello(server: &Server, name: &str) -> (Self, Value) {
        let mut client = Self::connect(server.address);
        client.send(&json!({"type": "hello", "name": name}));
        let welcome = client.expect("welcome");
        (client, welcome)
    }

    /// Connects, says hello, and joins a room; also gives what it found there.
    pub(crate) fn in_room(server: &Server, name: &str, room: &str) -> (Self, Value) {
        let (mut client, _) = Self::hello(server, name);
        let joined = client.join(room);
        (client, joined)
    }

    pub(crate) fn join(&mut self, room: &str) -> Value {
        self.send(&json!({"type": "join", "room": room}));
        self.expect("joined")
    }

    pub(crate) fn send(&mut self, frame: &Value) {
        self.0
            .send(Message::text(frame.to_string()))
            .expect("the server reads");
    }

    pub(crate) fn say(&mut self, room: &str, text: &str, nonce: &str) {
        self.send(&json!({"type": "send", "room": room, "text": text, "nonce": nonce}));
    }

    /// The next frame. A read with a time limit does not go on by itself after a signal.
    pub(crate) fn read(&mut self) -> Result<Message, Error> {
        loop {
            match self.0.read() {
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// The next event, or the error that ended the connection.
    pub(crate) fn try_next(&mut self) -> Result<Value, Error> {
        loop {
            match self.read()? {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(_) => {
                    // Reading on sends the reply to the close.
                    while self.0.read().is_ok() {}
                    return Err(Error::ConnectionClosed);
                }
                _ => {}
            }
        }
    }

    /// The next event of this type; others before it are passed over, except errors.
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        loop {
            let event = self
                .try_next()
                .unwrap_or_else(|error| panic!("no '{kind}': {error}"));
            if event["type"] == kind {
                return event;
            }
            assert_ne!(event["type"], "error", "instead of '{kind}': {event}");
        }
    }

    /// The next event must be this error.
    pub(crate) fn expect_error(&mut self, code: &str) -> Value {
        loop {
            let event = self
                .try_next()
                .unwrap_or_else(|error| panic!("no '{code}': {error}"));
            // News of rooms and people may come in between at any time.
            if !matches!(event["type"].as_str(), Some("presence" | "rooms")) {
                assert_eq!(event["code"], code, "{event}");
                return event;
            }
        }
    }

    /// Reads to the end: the close code and reason, and all events before.
    pub(crate) fn closed(&mut self) -> (u16, String, Vec<Value>) {
        let mut events = Vec::new();
        loop {
            match self.read() {
                Ok(Message::Text(text)) => {
                    events.push(serde_json::from_str(&text).expect("JSON"));
                }
                Ok(Message::Close(Some(CloseFrame { code, reason }))) => {
                    while self.0.read().is_ok() {}
                    return (code.into(), reason.to_string(), events);
                }
                Ok(_) => {}
                Err(error) => panic!("ended without a goodbye: {error}; before: {events:?}"),
            }
        }
    }
}
