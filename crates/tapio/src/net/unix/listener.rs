//! A Unix socket that accepts connections.

use std::io;
use std::os::unix::net;
use std::path::Path;
use std::task::{Context, Poll, ready};

use rustix::net::SocketType;
use tapio_driver::Direction;

use crate::io::Interest;
use crate::net::unix::SocketAddr;
use crate::net::{UnixStream, sys};
use crate::watched::Watched;

/// A Unix socket that accepts connections.
///
/// Dropping it closes the socket but leaves its file: remove that before
/// binding the path again.
///
/// # Examples
/// ```no_run
/// use tapio::net::UnixListener;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = UnixListener::bind("/run/greeter.sock")?;
/// let (stream, _) = listener.accept().await?;
/// # Ok(())
/// # }
/// ```
pub struct UnixListener {
    io: Watched<net::UnixListener>,
}

socket!(UnixListener, net::UnixListener);

impl UnixListener {
    #[track_caller]
    pub(in crate::net) fn watch(socket: net::UnixListener) -> io::Result<UnixListener> {
        let io = Watched::new(socket)?;
        Ok(UnixListener { io })
    }

    /// Listens at `path`; in the abstract namespace if it begins with a zero
    /// byte.
    ///
    /// # Errors
    /// What the kernel answers, `AddrInUse` for a path that exists; a path too
    /// long.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn bind<P>(path: P) -> io::Result<UnixListener>
    where
        P: AsRef<Path>,
    {
        UnixListener::bind_addr(&SocketAddr::named(path.as_ref())?)
    }

    /// Listens at an address.
    ///
    /// # Errors
    /// As for [`bind`](Self::bind).
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixListener> {
        let socket = sys::unix_socket(SocketType::STREAM)?;
        rustix::net::bind(&socket, &addr.to_system()?)?;
        rustix::net::listen(&socket, sys::MOST)?;
        UnixListener::watch(socket.into())
    }

    /// Accepts the next connection, and says who is at the other end.
    ///
    /// Waits until there is one. Any number of tasks may accept at once.
    ///
    /// # Errors
    /// What the kernel answers; for too many open files it helps to wait a
    /// little.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, no connection was taken.
    ///
    /// # Cost
    /// One system call (`accept4`) when a connection is waiting.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, peer) = self.io.async_io(Interest::READABLE, accept).await?;
        Ok((accepted(stream)?, peer))
    }

    /// [`accept`](Self::accept) in the shape of a poll function. Of several
    /// tasks that poll, the last one is woken.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let (stream, peer) = ready!(self.io.poll_io(cx, Direction::Read, accept))?;
        Poll::Ready(Ok((accepted(stream)?, peer)))
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr().map(SocketAddr::from)
    }

    /// Takes the error that is pending on the socket (`SO_ERROR`), if there is
    /// one.
    ///
    /// # Errors
    /// What the kernel answers to the question itself.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get().take_error()
    }
}

fn accept(listener: &net::UnixListener) -> io::Result<(net::UnixStream, SocketAddr)> {
    let (socket, peer) = sys::accept_unix(listener)?;
    Ok((socket.into(), SocketAddr::from_system(&peer)?))
}

/// Most often the peer has sent something by now; writable it is anyway.
fn accepted(stream: net::UnixStream) -> io::Result<UnixStream> {
    UnixStream::watch(stream)
}
