//! A TCP socket that accepts connections.

use std::io;
use std::net::{self, SocketAddr};
use std::panic::Location;
use std::task::{Context, Poll, ready};

use tapio_driver::Direction;

use crate::io::Interest;
use crate::net::addr::{self, ToSocketAddrs};
use crate::net::{TcpStream, sys};
use crate::watched::Watched;

/// A TCP socket that accepts connections.
///
/// Dropping it closes the port at once, whatever else is going on: the next
/// `bind` of the same address finds it free.
///
/// # Examples
/// ```no_run
/// use tapio::net::TcpListener;
///
/// # async fn greet(_: tapio::net::TcpStream) {}
/// # async fn serve() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (stream, peer) = listener.accept().await?;
///     println!("{peer} is here");
///     tapio::task::spawn(greet(stream));
/// }
/// # }
/// ```
pub struct TcpListener {
    io: Watched<net::TcpListener>,
}

socket!(TcpListener, net::TcpListener);

impl TcpListener {
    #[track_caller]
    pub(in crate::net) fn watch(socket: net::TcpListener) -> io::Result<TcpListener> {
        let io = Watched::new(socket)?;
        Ok(TcpListener { io })
    }

    /// Listens at `addr`, with `SO_REUSEADDR` set.
    ///
    /// Each address that `addr` stands for is tried in turn until one can be
    /// bound; waits only if a name must be looked up. Port 0 lets the system
    /// choose, see [`local_addr`](Self::local_addr). For other options, a
    /// backlog for example, see [`TcpSocket`](crate::net::TcpSocket).
    ///
    /// # Errors
    /// What the resolver answers; what the kernel answers for the last address
    /// that was tried; [`InvalidInput`](io::ErrorKind::InvalidInput) if there
    /// was none.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing bound.
    #[track_caller]
    pub fn bind<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<TcpListener>> {
        let at = Location::caller();
        async move {
            let addrs = addr::resolve(addr::target(addr), at).await?;
            addr::first_that(addrs, |addr| TcpListener::watch(sys::listen_tcp(addr)?))
        }
    }

    /// Accepts the next connection, and says who is at the other end.
    ///
    /// Waits until there is one. Any number of tasks may accept at once.
    ///
    /// # Errors
    /// What the kernel answers. An error need not be the listener's own:
    /// `ConnectionAborted` is a peer that has gone again, and for too many open
    /// files it helps to wait a little. A server goes on after both.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, no connection was taken.
    ///
    /// # Cost
    /// One system call (`accept4`) when a connection is waiting.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self
            .io
            .async_io(Interest::READABLE, sys::accept_tcp)
            .await?;
        Ok((accepted(stream)?, peer))
    }

    /// [`accept`](Self::accept) in the shape of a poll function. Of several
    /// tasks that poll, the last one is woken.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (stream, peer) = ready!(self.io.poll_io(cx, Direction::Read, sys::accept_tcp))?;
        Poll::Ready(Ok((accepted(stream)?, peer)))
    }

    /// The address that the listener is bound to.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// The time to live of packets that this socket sends (`IP_TTL`).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get().ttl()
    }

    /// Sets the time to live of packets that this socket sends (`IP_TTL`).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get().set_ttl(ttl)
    }
}

/// Most often the peer has sent something by now; writable it is anyway.
fn accepted(stream: net::TcpStream) -> io::Result<TcpStream> {
    TcpStream::watch(stream)
}
