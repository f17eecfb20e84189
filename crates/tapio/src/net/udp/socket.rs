//! A UDP socket.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::panic::Location;
use std::task::{Context, Poll};

use bytes::BufMut;
use rustix::net::{RecvFlags, SocketType};
use tapio_driver::Direction;

use crate::io::{Interest, ReadBuf, Ready};
use crate::net::addr::{self, ToSocketAddrs};
use crate::net::{fill, sys};
use crate::watched::Watched;

/// A UDP socket.
///
/// Either many peers ([`send_to`](Self::send_to) and
/// [`recv_from`](Self::recv_from)) or one: after [`connect`](Self::connect),
/// [`send`](Self::send) and [`recv`](Self::recv) speak to that one alone, and
/// the kernel reports when it cannot be reached.
///
/// Dropping the socket gives its address up at once, and so does the end of the
/// process, however it comes.
///
/// There is no splitting: all methods take `&self`, and an `Arc` of the socket
/// serves any number of tasks.
///
/// # Examples
/// ```
/// use tapio::net::UdpSocket;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = tapio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let near = UdpSocket::bind("127.0.0.1:0").await?;
/// let far = UdpSocket::bind("127.0.0.1:0").await?;
///
/// near.send_to(b"hello", far.local_addr()?).await?;
/// let mut buf = [0; 1500];
/// let (len, sender) = far.recv_from(&mut buf).await?;
/// assert_eq!((&buf[..len], sender), (&b"hello"[..], near.local_addr()?));
/// # std::io::Result::Ok(())
/// # })
/// # }
/// ```
pub struct UdpSocket {
    pub(super) io: Watched<net::UdpSocket>,
}

socket!(UdpSocket, net::UdpSocket);
impl UdpSocket {
    #[track_caller]
    pub(in crate::net) fn watch(socket: net::UdpSocket) -> io::Result<UdpSocket> {
        Ok(UdpSocket {
            io: Watched::new(socket)?,
        })
    }
}
readiness!(UdpSocket);
datagram!(UdpSocket, SocketAddr, sys::sender_ip);

impl UdpSocket {
    /// A socket bound to `addr`.
    ///
    /// Each address that `addr` stands for is tried in turn until one can be
    /// bound; waits only if a name must be looked up.
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
    pub fn bind<A: ToSocketAddrs>(addr: A) -> impl Future<Output = io::Result<UdpSocket>> {
        let at = Location::caller();
        async move {
            let addrs = addr::resolve(addr::target(addr), at).await?;
            addr::first_that(addrs, |addr| {
                let socket = sys::socket_for(addr, SocketType::DGRAM)?;
                rustix::net::bind(&socket, &addr)?;
                UdpSocket::watch(socket.into())
            })
        }
    }

    /// Makes `addr` the one peer of this socket.
    ///
    /// Each address that `addr` stands for is tried in turn; waits only if a
    /// name must be looked up. Nothing is sent.
    ///
    /// # Errors
    /// What the resolver answers; what the kernel answers for the last address
    /// that was tried; [`InvalidInput`](io::ErrorKind::InvalidInput) if there
    /// was none.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the socket as it was.
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> impl Future<Output = io::Result<()>> {
        let at = Location::caller();
        async move {
            let addrs = addr::resolve(addr::target(addr), at).await?;
            addr::first_that(addrs, |addr| self.io.get().connect(addr))
        }
    }

    /// The address that the socket is bound to.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// The address of the one peer.
    ///
    /// # Errors
    /// What the kernel answers, `NotConnected` for example.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }

    /// Sends a datagram to the first address that `addr` stands for.
    ///
    /// Waits for room in the socket's send buffer, and for the lookup if `addr`
    /// is a name.
    ///
    /// # Errors
    /// What the resolver answers; what the kernel answers, for a datagram too
    /// long, for example; [`InvalidInput`](io::ErrorKind::InvalidInput) if
    /// `addr` stands for no address.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, nothing was sent.
    ///
    /// # Cost
    /// One system call when there is room.
    #[track_caller]
    pub fn send_to<A: ToSocketAddrs>(
        &self,
        buf: &[u8],
        addr: A,
    ) -> impl Future<Output = io::Result<usize>> {
        let at = Location::caller();
        async move {
            let mut addrs = addr::resolve(addr::target(addr), at).await?;
            let target = addrs.next().ok_or_else(addr::no_address)?;
            self.io
                .async_io(Interest::WRITABLE, |socket| socket.send_to(buf, target))
                .await
        }
    }

    /// [`send_to`](Self::send_to) in the shape of a poll function. Of several
    /// tasks that poll for sending, the last one is woken.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.io
            .poll_io(cx, Direction::Write, |socket| socket.send_to(buf, target))
    }

    /// Sends a datagram to `target`, without waiting.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room;
    /// otherwise what the kernel answers.
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.io
            .try_io(Interest::WRITABLE, || self.io.get().send_to(buf, target))
    }

    pub(super) const RECEIVABLE: Interest = RECEIVABLE;
}
