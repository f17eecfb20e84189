//! A Unix socket that is neither connected nor listening yet.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::net::unix::SocketAddr;
use crate::net::{UnixDatagram, UnixListener, UnixStream};

/// A Unix socket that is neither connected nor listening yet.
///
/// The socket belongs to no runtime until it becomes a [`UnixStream`], a
/// [`UnixListener`] or a [`UnixDatagram`].
///
/// # Examples
/// ```no_run
/// use tapio::net::UnixSocket;
///
/// # async fn listen() -> std::io::Result<()> {
/// let socket = UnixSocket::new_stream()?;
/// socket.bind("/run/greeter.sock")?;
/// let listener = socket.listen(1024)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UnixSocket {
    socket: Socket,
}

impl UnixSocket {
    /// A new socket for datagrams.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn new_datagram() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::DGRAM)
    }

    /// A new socket for streams.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn new_stream() -> io::Result<UnixSocket> {
        UnixSocket::new(Type::STREAM)
    }

    fn new(kind: Type) -> io::Result<UnixSocket> {
        let socket = Socket::new(Domain::UNIX, kind.nonblocking(), None)?;
        Ok(UnixSocket { socket })
    }

    pub(in crate::net) fn from_socket(socket: Socket) -> UnixSocket {
        UnixSocket { socket }
    }

    pub(in crate::net) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Binds the socket to `path`; in the abstract namespace if it begins with
    /// a zero byte.
    ///
    /// # Errors
    /// What the kernel answers, `AddrInUse` for a path that exists; a path too
    /// long.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.socket.bind(&SockAddr::unix(path)?)
    }

    /// Listens at the address that the socket was bound to.
    ///
    /// `backlog` is how many connections may wait to be accepted; the system
    /// has a limit of its own (`net.core.somaxconn`).
    ///
    /// # Errors
    /// If the socket is for datagrams; what the kernel answers.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        self.refuse(Type::DGRAM, "listen cannot be called on a datagram socket")?;
        self.socket.listen(backlog.try_into().unwrap_or(i32::MAX))?;
        UnixListener::watch(self.socket.into())
    }

    /// Connects to the listener at `path`; in the abstract namespace if it
    /// begins with a zero byte.
    ///
    /// # Errors
    /// If the socket is for datagrams; as for [`UnixStream::connect`].
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up and closes the socket.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        self.refuse(Type::DGRAM, "connect cannot be called on a datagram socket")?;
        let addr = SocketAddr::named(path.as_ref())?;
        UnixStream::connect_with(self.socket.into(), &addr).await
    }

    /// Makes a [`UnixDatagram`] of the socket.
    ///
    /// # Errors
    /// If the socket is for streams; an error that was pending on it.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        self.refuse(Type::STREAM, "datagram cannot be called on a stream socket")?;
        let socket = UnixDatagram::watch(self.socket.into())?;
        match socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(socket),
        }
    }

    /// Answers `why` if the socket is of this kind.
    fn refuse(&self, kind: Type, why: &str) -> io::Result<()> {
        if self.socket.r#type()? == kind {
            return Err(io::Error::other(why));
        }
        Ok(())
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
