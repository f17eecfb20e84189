//! One connection of the load generator.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::plan::Protocol;

/// How long a server may take for an answer outside of what is measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The request, and how long an answer is.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) request: Vec<u8>,
    pub(crate) answer_bytes: usize,
}

impl Exchange {
    /// Works out the exchange; for HTTP it asks the server once.
    ///
    /// All answers are as long as the first one: the only header that changes,
    /// the date, has a fixed length.
    ///
    /// # Errors
    /// The server cannot be reached or does not answer as it should.
    pub(crate) fn learn(protocol: Protocol, address: SocketAddr) -> io::Result<Self> {
        let connection = match protocol {
            Protocol::Echo { bytes } => {
                return Ok(Self {
                    request: vec![0; bytes],
                    answer_bytes: bytes,
                });
            }
            Protocol::Http => "",
            Protocol::HttpClose => "Connection: close\r\n",
        };
        Self::learn_http("/", connection, address)
    }

    /// The same for HTTP, with a path and more headers.
    pub(crate) fn learn_http(path: &str, headers: &str, address: SocketAddr) -> io::Result<Self> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").into_bytes();
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&request)?;
        let mut answer = Vec::new();
        loop {
            if let Some(answer_bytes) = answer_bytes(&answer) {
                return Ok(Self {
                    request,
                    answer_bytes,
                });
            }
            let mut buf = [0; 4096];
            match stream.read(&mut buf)? {
                0 => {
                    return Err(io::Error::other(
                        "the server closed before its answer ended",
                    ));
                }
                len => answer.extend_from_slice(&buf[..len]),
            }
        }
    }
}

/// The length of a whole answer: head and body.
fn answer_bytes(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|at| at == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))?;
    Some(head + length.trim().parse::<usize>().ok()?)
}

/// A connection with the requests that are under way on it.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// When each unanswered request was due, oldest first.
    due: VecDeque<u64>,
    /// Bytes of requests that the socket has not taken yet.
    unsent: usize,
    /// Bytes of the oldest request's answer that have arrived.
    received: usize,
}

impl Client {
    /// Connects. From now on nothing on this connection waits.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            due: VecDeque::new(),
            unsent: 0,
            received: 0,
        })
    }

    /// Whether every request has its answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.due.is_empty()
    }

    /// Sends a request that was due at `due`.
    pub(crate) fn send(&mut self, exchange: &Exchange, due: u64) -> io::Result<()> {
        self.due.push_back(due);
        self.unsent += exchange.request.len();
        self.flush(exchange)
    }

    /// Writes what the socket takes; the rest goes when it is writable again.
    pub(crate) fn flush(&mut self, exchange: &Exchange) -> io::Result<()> {
        let len = exchange.request.len();
        while self.unsent > 0 {
            let rest = match self.unsent % len {
                0 => len,
                rest => rest,
            };
            match self.stream.write(&exchange.request[len - rest..]) {
                Ok(written) => self.unsent -= written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads all that is there and hands each answered request's due time to
    /// `answered`.
    ///
    /// # Errors
    /// The connection failed, or ended with requests unanswered.
    pub(crate) fn receive(
        &mut self,
        exchange: &Exchange,
        buf: &mut [u8],
        mut answered: impl FnMut(u64),
    ) -> io::Result<()> {
        loop {
            let len = match self.stream.read(buf) {
                Ok(0) if self.due.is_empty() => return Ok(()),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.received += len;
            while self.received >= exchange.answer_bytes {
                self.received -= exchange.answer_bytes;
                let due = self.due.pop_front();
                answered(due.ok_or_else(|| io::Error::other("an answer to no request"))?);
            }
            // With edge-triggered readiness, a read that came up short emptied
            // the socket: what comes later makes an event of its own.
            if len < buf.len() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::{Client, Exchange, answer_bytes};
    use crate::load::plan::Protocol;

    #[test]
    fn length_of_an_answer() {
        assert_eq!(
            answer_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
            Some(40)
        );
        assert_eq!(
            answer_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"),
            None
        );
    }

    #[test]
    fn large_requests_and_split_answers_are_counted_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // More than the sockets' buffers hold.
        let exchange = Exchange::learn(Protocol::Echo { bytes: 16 << 20 }, address).unwrap();
        let mut client = Client::connect(address).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buf = vec![0; 1 << 20];
            for _ in 0..2 * 16 {
                stream.read_exact(&mut buf).unwrap();
            }
            for _ in 0..2 * 16 {
                stream.write_all(&buf).unwrap();
            }
        });
        client.send(&exchange, 1).unwrap();
        client.send(&exchange, 2).unwrap();
        assert!(client.unsent > 0);
        let (mut answered, mut buf) = (Vec::new(), vec![0; 1 << 16]);
        while !client.is_idle() {
            client.flush(&exchange).unwrap();
            client
                .receive(&exchange, &mut buf, |due| answered.push(due))
                .unwrap();
        }
        assert_eq!(
            (answered, client.unsent, client.received),
            (vec![1, 2], 0, 0)
        );
        server.join().unwrap();
    }
}
