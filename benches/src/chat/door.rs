//! The requests of plain HTTP: rooms that are made, threads that are blocked.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{clock::now_ns, load::client::PATIENCE};

/// Makes a room.
///
/// # Errors
/// The server cannot be reached or refuses.
pub(crate) fn make_room(address: SocketAddr, name: &str) -> io::Result<()> {
    let body = format!(r#"{{"name":"{name}"}}"#);
    let mut post = Post::connect(address)?;
    post.send("/api/rooms", &body)?;
    post.stream.set_nonblocking(false)?;
    while !post.receive()? {}
    if post.answer.starts_with(b"HTTP/1.1 201 ") {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&post.answer).into_owned();
    Err(io::Error::other(format!("making a room: {answer}")))
}

/// A connection for one POST.
#[derive(Debug)]
pub(crate) struct Post {
    address: SocketAddr,
    pub(crate) stream: TcpStream,
    answer: Vec<u8>,
    /// When the last byte of the answer came.
    ended: Option<u64>,
}

impl Post {
    /// Connects, and sends nothing yet.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            address,
            stream,
            answer: Vec::new(),
            ended: None,
        })
    }

    /// Asks the server to block a thread in the way of `kind`.
    pub(crate) fn block(&mut self, kind: &str, time: Duration) -> io::Result<()> {
        self.send(
            &format!("/chaos/block?ms={}&kind={kind}", time.as_millis()),
            "",
        )
    }

    fn send(&mut self, path: &str, body: &str) -> io::Result<()> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        // So short that a new connection takes it at once.
        self.stream.write_all(request.as_bytes())
    }

    /// Reads what is there; whether the answer is whole, which the end of the connection says.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        let mut buf = [0; 4096];
        while self.ended.is_none() {
            match self.stream.read(&mut buf) {
                Ok(0) => self.ended = Some(now_ns()),
                Ok(len) => self.answer.extend_from_slice(&buf[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// From when to when the answer to [`block`](Self::block) says that a thread was blocked.
    ///
    /// # Errors
    /// The answer is another one.
    pub(crate) fn blocked_between(&self) -> io::Result<(u64, u64)> {
        const FIELD: &str = r#""blocked_ms":"#;
        let text = String::from_utf8_lossy(&self.answer);
        let ms = text.split_once(FIELD).map(|(_, rest)| rest);
        let ms = ms.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok());
        match (self.ended, ms) {
            (Some(end), Some(ms)) => Ok((end.saturating_sub(ms * 1_000_000), end)),
            _ => Err(io::Error::other(format!(
                "asked to block, it answered: {text}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
        time::Duration,
    };

    use super::Post;

    #[test]
    fn an_answer_says_how_long_a_thread_was_blocked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut post = Post::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!post.receive().unwrap());
        assert!(post.blocked_between().is_err());
        post.block("spin", Duration::from_millis(7)).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buf = [0; 1024];
            let len = stream.read(&mut buf).unwrap();
            let answer = "HTTP/1.1 200 OK\r\n\r\n{\"blocked_ms\":7,\"kind\":\"spin\"}";
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&buf[..len]).into_owned()
        });
        post.stream.set_nonblocking(false).unwrap();
        assert!(post.receive().unwrap());
        let (begin, end) = post.blocked_between().unwrap();
        assert_eq!(end - begin, 7_000_000);
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("POST /chaos/block?ms=7&kind=spin ")
        );
    }
}
