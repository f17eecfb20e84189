//! One person: a WebSocket connection that is in one room.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::frame::{self, CLOSE, PING, PONG, TEXT};
use crate::load::client::PATIENCE;

const READ_BYTES: usize = 64 * 1024;
/// Any sixteen bytes will do: nobody between us and the server keeps answers.
const KEY: &str = "dGFwaW8gdGFwaW8gdGFwaQ==";

/// A connection that has said hello and has joined its room.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) stream: TcpStream,
    pub(crate) room: usize,
    /// What has arrived of a frame that is not whole.
    read: Vec<u8>,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
}

/// What a person has heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A message, by the moment in its text.
    Message(u64),
    /// The server refuses something, in its words.
    Refused(String),
    /// Presence, acknowledgements and the like.
    Other,
}

/// The name of the room with this number.
pub(crate) fn room_name(room: usize) -> String {
    format!("room-{room}")
}

impl Person {
    /// Connects, says hello and joins. From now on nothing on this connection waits.
    ///
    /// # Errors
    /// The server cannot be reached or does not let this person in.
    pub(crate) fn arrive(address: SocketAddr, number: usize, room: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut person = Self {
            stream,
            room,
            read: Vec::new(),
            unsent: Vec::new(),
        };
        person.upgrade(address)?;
        let hello = format!(r#"{{"type":"hello","name":"person-{number}"}}"#);
        let join = format!(r#"{{"type":"join","room":"{}"}}"#, room_name(room));
        person.queue(TEXT, hello.as_bytes());
        person.queue(TEXT, join.as_bytes());
        person.flush()?;
        let mut joined = false;
        loop {
            // Something may have come together with the head of the answer.
            person.take_frames(|payload| joined |= is(payload, "joined"))?;
            if joined {
                break;
            }
            person.fill()?;
        }
        person.stream.set_nonblocking(true)?;
        Ok(person)
    }

    fn upgrade(&mut self, address: SocketAddr) -> io::Result<()> {
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes())?;
        loop {
            self.fill()?;
            let Some(end) = self.read.windows(4).position(|at| at == b"\r\n\r\n") else {
                continue;
            };
            if !self.read.starts_with(b"HTTP/1.1 101 ") {
                let answer = String::from_utf8_lossy(&self.read).into_owned();
                return Err(io::Error::other(format!("not let in: {answer}")));
            }
            self.read.drain(..end + 4);
            return Ok(());
        }
    }

    /// Says something at the moment `due`, which is also its text.
    pub(crate) fn say(&mut self, due: u64) -> io::Result<()> {
        let room = room_name(self.room);
        let send = format!(r#"{{"type":"send","room":"{room}","text":"{due}","nonce":"{due}"}}"#);
        self.queue(TEXT, send.as_bytes());
        self.flush()
    }

    fn queue(&mut self, opcode: u8, payload: &[u8]) {
        frame::append(&mut self.unsent, opcode, payload);
    }

    /// Writes what the socket takes; the rest goes when it is writable again.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads all that is there and hands on what was heard.
    ///
    /// # Errors
    /// The connection is lost: it failed, has ended, or the server says goodbye.
    pub(crate) fn listen(&mut self, mut heard: impl FnMut(Heard)) -> io::Result<()> {
        loop {
            let len = match self.fill() {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.take_frames(|payload| heard(understood(payload)))?;
            // With edge-triggered readiness, a read that came up short emptied
            // the socket: what comes later makes an event of its own.
            if len < READ_BYTES {
                return Ok(());
            }
        }
    }

    /// Reads once, behind what is there already.
    fn fill(&mut self) -> io::Result<usize> {
        let before = self.read.len();
        self.read.resize(before + READ_BYTES, 0);
        let outcome = self.stream.read(&mut self.read[before..]);
        self.read
            .truncate(before + outcome.as_ref().map_or(0, |len| *len));
        match outcome {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            outcome => outcome,
        }
    }

    /// Takes every frame that has arrived whole, and answers pings.
    fn take_frames(&mut self, mut text: impl FnMut(&[u8])) -> io::Result<()> {
        let mut taken = 0;
        let mut pongs = Vec::new();
        while let Some(frame) = frame::first(&self.read[taken..])? {
            match frame.opcode {
                TEXT => text(frame.payload),
                PING => frame::append(&mut pongs, PONG, frame.payload),
                CLOSE => return Err(io::ErrorKind::ConnectionAborted.into()),
                _ => {}
            }
            taken += frame.bytes;
        }
        self.read.drain(..taken);
        self.unsent.extend_from_slice(&pongs);
        self.flush()
    }
}

/// Whether `event` is of this type, which the server writes first.
fn is(event: &[u8], kind: &str) -> bool {
    let head = event.strip_prefix(br#"{"type":""#);
    head.is_some_and(|rest| {
        rest.strip_prefix(kind.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'"'))
    })
}

fn understood(event: &[u8]) -> Heard {
    const TEXT_FIELD: &[u8] = br#""text":""#;
    if is(event, "error") {
        return Heard::Refused(String::from_utf8_lossy(event).into_owned());
    }
    if !is(event, "message") {
        return Heard::Other;
    }
    let at = event
        .windows(TEXT_FIELD.len())
        .position(|at| at == TEXT_FIELD);
    let digits = at.map_or(&[][..], |at| &event[at + TEXT_FIELD.len()..]);
    let end = digits.iter().position(|byte| !byte.is_ascii_digit());
    let moment = str::from_utf8(&digits[..end.unwrap_or(0)]).ok();
    match moment.and_then(|moment| moment.parse().ok()) {
        Some(moment) => Heard::Message(moment),
        None => Heard::Refused(format!("not ours: {}", String::from_utf8_lossy(event))),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        net::{TcpListener, TcpStream},
        thread,
    };

    use super::{Heard, Person, understood};

    #[test]
    fn a_person_arrives_hears_answers_pings_and_loses_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut sent = Vec::new();
            let mut read_until = |end: &[u8], stream: &mut TcpStream| {
                let mut byte = [0];
                while !sent.ends_with(end) {
                    stream.read_exact(&mut byte).unwrap();
                    sent.push(byte[0]);
                }
            };
            read_until(b"\r\n\r\n", &mut stream);
            let joined = br#"{"type":"joined"}"#;
            let mut answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
            answer.extend_from_slice(&[0x81, joined.len() as u8]);
            answer.extend_from_slice(joined);
            stream.write_all(&answer).unwrap();
            read_until(br#""nonce":"7"}"#, &mut stream);
            let message = br#"{"type":"message","text":"7"}"#;
            let mut frames = vec![0x81, message.len() as u8];
            frames.extend_from_slice(message);
            frames.extend_from_slice(&[0x89, 2, b'h', b'i']);
            stream.write_all(&frames).unwrap();
            read_until(b"hi", &mut stream);
            stream.write_all(&[0x88, 0]).unwrap();
            sent
        });
        let mut person = Person::arrive(address, 1, 2).unwrap();
        person.stream.set_nonblocking(false).unwrap();
        person.say(7).unwrap();
        let mut heard = Vec::new();
        let lost = loop {
            if let Err(error) = person.listen(|event| heard.push(event)) {
                break error;
            }
        };
        assert_eq!(lost.kind(), ErrorKind::ConnectionAborted);
        assert_eq!(heard, [Heard::Message(7)]);
        let sent = server.join().unwrap();
        let sent = String::from_utf8_lossy(&sent);
        assert!(
            sent.contains("person-1") && sent.contains("room-2"),
            "{sent}"
        );
    }

    #[test]
    fn events_are_told_apart() {
        let message =
            br#"{"type":"message","room":"room-1","seq":1,"name":"a","text":"12","time_ms":3}"#;
        assert_eq!(understood(message), Heard::Message(12));
        assert_eq!(understood(br#"{"type":"ack","seq":1}"#), Heard::Other);
        let refused = br#"{"type":"error","code":"rate_limited"}"#;
        assert!(matches!(understood(refused), Heard::Refused(text) if text.contains("rate")));
        let strange = br#"{"type":"message","text":"hello"}"#;
        assert!(matches!(understood(strange), Heard::Refused(_)));
    }
}
