//! Datagrams between processes of one machine.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net;
use std::path::Path;
use std::task::{Context, Poll};

use bytes::BufMut;
use rustix::net::{RecvFlags, SocketType};
use tapio_driver::Direction;

use crate::io::{Interest, ReadBuf, Ready};
use crate::net::unix::SocketAddr;
use crate::net::{fill, sys};
use crate::watched::Watched;

/// A socket for datagrams between processes of one machine.
///
/// Unlike UDP's, these datagrams arrive, and in order; a sender waits while the
/// receiver's queue is full.
///
/// # Examples
/// ```
/// use tapio::net::UnixDatagram;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = tapio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (near, far) = UnixDatagram::pair()?;
/// near.send(b"hello").await?;
/// let mut buf = [0; 64];
/// let len = far.recv(&mut buf).await?;
/// assert_eq!(&buf[..len], b"hello");
/// # std::io::Result::Ok(())
/// # })
/// # }
/// ```
pub struct UnixDatagram {
    io: Watched<net::UnixDatagram>,
}

socket!(UnixDatagram, net::UnixDatagram);
impl UnixDatagram {
    #[track_caller]
    pub(in crate::net) fn watch(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        Ok(UnixDatagram {
            io: Watched::new(socket)?,
        })
    }
}
readiness!(UnixDatagram);
datagram!(UnixDatagram, SocketAddr, SocketAddr::from_system);

impl UnixDatagram {
    /// A socket bound to `path`; in the abstract namespace if it begins with a
    /// zero byte.
    ///
    /// # Errors
    /// What the kernel answers, `AddrInUse` for a path that exists; a path too
    /// long.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn bind<P>(path: P) -> io::Result<UnixDatagram>
    where
        P: AsRef<Path>,
    {
        let addr = SocketAddr::named(path.as_ref())?;
        let socket = sys::unix_socket(SocketType::DGRAM)?;
        rustix::net::bind(&socket, &addr.to_system()?)?;
        UnixDatagram::watch(socket.into())
    }

    /// A socket without an address, to which nobody can send.
    ///
    /// # Errors
    /// What the kernel answers.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::watch(sys::unix_socket(SocketType::DGRAM)?.into())
    }

    /// Two sockets, connected to each other.
    ///
    /// # Errors
    /// What the kernel answers.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (near, far) = sys::unix_pair(SocketType::DGRAM)?;
        Ok((
            UnixDatagram::watch(near.into())?,
            UnixDatagram::watch(far.into())?,
        ))
    }

    /// Makes the socket at `path` the one peer of this socket.
    ///
    /// # Errors
    /// What the kernel answers: `NotFound`, `ConnectionRefused`; a path too
    /// long.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.io
            .get()
            .connect_addr(SocketAddr::named(path.as_ref())?.std())
    }

    /// Sends a datagram to the socket at `target`.
    ///
    /// Waits while that socket's queue is full, or this one's buffer. Only a
    /// connected socket ([`connect`](Self::connect)) is told by Linux when a
    /// queue that others have filled has room again.
    ///
    /// # Errors
    /// What the kernel answers: `NotFound`, `ConnectionRefused`, a datagram too
    /// long; a path too long.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_to<P>(&self, buf: &[u8], target: P) -> io::Result<usize>
    where
        P: AsRef<Path>,
    {
        let target = SocketAddr::named(target.as_ref())?;
        let send = |socket: &net::UnixDatagram| socket.send_to_addr(buf, target.std());
        self.io.async_io(Interest::WRITABLE, send).await
    }

    /// [`send_to`](Self::send_to) in the shape of a poll function. Of several
    /// tasks that poll for sending, the last one is woken.
    ///
    /// # Errors
    /// As for [`send_to`](Self::send_to).
    pub fn poll_send_to<P>(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>>
    where
        P: AsRef<Path>,
    {
        let target = SocketAddr::named(target.as_ref())?;
        let send = |socket: &net::UnixDatagram| socket.send_to_addr(buf, target.std());
        self.io.poll_io(cx, Direction::Write, send)
    }

    /// Sends a datagram to the socket at `target`, without waiting.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room;
    /// otherwise as for [`send_to`](Self::send_to).
    pub fn try_send_to<P>(&self, buf: &[u8], target: P) -> io::Result<usize>
    where
        P: AsRef<Path>,
    {
        let target = SocketAddr::named(target.as_ref())?;
        let send = || self.io.get().send_to_addr(buf, target.std());
        self.io.try_io(Interest::WRITABLE, send)
    }

    /// The address of this socket.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr().map(SocketAddr::from)
    }

    /// The address of the one peer.
    ///
    /// # Errors
    /// What the kernel answers, `NotConnected` for example.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr().map(SocketAddr::from)
    }

    /// Ends receiving, sending or both.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().shutdown(how)
    }
}
