//! A TCP connection.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use rustix::net::{RecvFlags, SocketType};
use tapio_driver::Direction;

use crate::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use crate::net::addr::{self, ToSocketAddrs};
use crate::net::tcp::split::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, into_split, split,
};
use crate::net::{fill, sys};
use crate::watched::Watched;

/// A TCP connection.
///
/// It is read and written through [`AsyncReadExt`](crate::io::AsyncReadExt) and
/// [`AsyncWriteExt`](crate::io::AsyncWriteExt). Nothing is buffered here: what
/// a write has taken is the kernel's, and a flush does nothing. Shutting down
/// (`shutdown().await`) ends the writing direction only; the peer may go on
/// sending. Dropping the stream closes it.
///
/// To read in one task and write in another, see [`into_split`](Self::into_split).
///
/// # Examples
/// ```
/// use tapio::io::{AsyncReadExt, AsyncWriteExt};
/// use tapio::net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = tapio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut near = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut far, _) = listener.accept().await?;
///
/// near.write_all(b"hello").await?;
/// near.shutdown().await?;
/// let mut said = String::new();
/// far.read_to_string(&mut said).await?;
/// assert_eq!(said, "hello");
/// # std::io::Result::Ok(())
/// # })
/// # }
/// ```
pub struct TcpStream {
    pub(super) io: Watched<net::TcpStream>,
}

socket!(TcpStream, net::TcpStream);
impl TcpStream {
    #[track_caller]
    pub(in crate::net) fn watch(socket: net::TcpStream) -> io::Result<TcpStream> {
        Ok(TcpStream {
            io: Watched::new(socket)?,
        })
    }
}
readiness!(TcpStream);
stream!(TcpStream, false);

impl TcpStream {
    /// Connects to `addr`.
    ///
    /// Each address that `addr` stands for is tried in turn; waits until one
    /// has accepted. To bind first or to set options, see
    /// [`TcpSocket`](crate::net::TcpSocket).
    ///
    /// # Errors
    /// What the resolver answers; what became of the last address that was
    /// tried, `ConnectionRefused` for example;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there was none.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up and closes the socket.
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<TcpStream>> {
        let at = Location::caller();
        async move {
            let addrs = addr::resolve(addr::target(addr), at).await?;
            let mut last = None;
            for addr in addrs {
                match TcpStream::connect_addr(addr).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(addr::no_address))
        }
    }

    async fn connect_addr(addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = sys::socket_for(addr, SocketType::STREAM)?;
        TcpStream::connect_with(socket.into(), addr).await
    }

    /// Connects `socket`, which is nonblocking, to `addr`.
    pub(super) async fn connect_with(
        socket: net::TcpStream,
        addr: SocketAddr,
    ) -> io::Result<TcpStream> {
        let stream = TcpStream::watch(socket)?;
        let connect = |socket: &_| sys::connect_tcp(socket, addr);
        poll_fn(|cx| stream.io.poll_io(cx, Direction::Write, connect)).await?;
        Ok(stream)
    }

    /// The address of this end.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// What the kernel answers, `NotConnected` for example.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }

    /// Reads without taking: the next read finds the same bytes.
    ///
    /// Waits until something can be read. Zero is the end of the stream, if
    /// `buf` has room.
    ///
    /// # Errors
    /// What the kernel answers.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io
            .async_io(Interest::READABLE, |socket| socket.peek(buf))
            .await
    }

    /// [`peek`](Self::peek) in the shape of a poll function. Of several tasks
    /// that poll for reading, the last one is woken.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.io.poll_io(cx, Direction::Read, |socket| {
            fill::recv(socket, buf, RecvFlags::PEEK)
        })
    }
}
