//! A connection between processes of one machine.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::unix::net;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use rustix::net::{RecvFlags, SocketType};
use tapio_driver::Direction;

use crate::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use crate::net::unix::split::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, into_split, split,
};
use crate::net::unix::{SocketAddr, UCred};
use crate::net::{fill, sys};
use crate::watched::Watched;

/// A stream between processes of one machine.
///
/// It is read and written through [`AsyncReadExt`](crate::io::AsyncReadExt) and
/// [`AsyncWriteExt`](crate::io::AsyncWriteExt), and behaves as a
/// [`TcpStream`](crate::net::TcpStream) does.
///
/// # Examples
/// ```
/// use tapio::io::{AsyncReadExt, AsyncWriteExt};
/// use tapio::net::UnixStream;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = tapio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (mut near, mut far) = UnixStream::pair()?;
/// near.write_all(b"hello").await?;
/// drop(near);
/// let mut said = String::new();
/// far.read_to_string(&mut said).await?;
/// assert_eq!(said, "hello");
/// # std::io::Result::Ok(())
/// # })
/// # }
/// ```
pub struct UnixStream {
    io: Watched<net::UnixStream>,
}

socket!(UnixStream, net::UnixStream);
impl UnixStream {
    #[track_caller]
    pub(in crate::net) fn watch(socket: net::UnixStream) -> io::Result<UnixStream> {
        Ok(UnixStream {
            io: Watched::new(socket)?,
        })
    }
}
readiness!(UnixStream);
stream!(UnixStream, true);

impl UnixStream {
    /// Connects to the listener at `path`; in the abstract namespace if it
    /// begins with a zero byte.
    ///
    /// Waits for the driver's word that the connection stands, though not for
    /// the listener to accept it.
    ///
    /// # Errors
    /// What the kernel answers: `NotFound`, `ConnectionRefused` if nobody
    /// listens, [`WouldBlock`](io::ErrorKind::WouldBlock) if too many
    /// connections wait to be accepted there already; a path too long.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up and closes the socket.
    pub async fn connect<P>(path: P) -> io::Result<UnixStream>
    where
        P: AsRef<Path>,
    {
        UnixStream::connect_addr(&SocketAddr::named(path.as_ref())?).await
    }

    /// Connects to the listener at an address.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up and closes the socket.
    pub async fn connect_addr(addr: &SocketAddr) -> io::Result<UnixStream> {
        let socket = sys::unix_socket(SocketType::STREAM)?;
        UnixStream::connect_with(socket.into(), addr).await
    }

    /// Connects `socket`, which is nonblocking. Unlike TCP, a Unix connection
    /// stands when `connect` returns, accepted or not; by the time the driver
    /// has looked at it, the listener may be gone again.
    pub(super) async fn connect_with(
        socket: net::UnixStream,
        addr: &SocketAddr,
    ) -> io::Result<UnixStream> {
        rustix::net::connect(&socket, &addr.to_system()?)?;
        let stream = UnixStream::watch(socket)?;
        poll_fn(|cx| stream.poll_write_ready(cx)).await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Two streams, connected to each other.
    ///
    /// # Errors
    /// What the kernel answers.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (near, far) = sys::unix_pair(SocketType::STREAM)?;
        Ok((
            UnixStream::watch(near.into())?,
            UnixStream::watch(far.into())?,
        ))
    }

    /// The address of this end.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr().map(SocketAddr::from)
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// What the kernel answers, `NotConnected` for example.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr().map(SocketAddr::from)
    }

    /// Who was at the other end when the stream was connected.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of_peer(self.io.get())
    }
}
