//! The system calls that the standard library has no nonblocking form of.
//!
//! Sockets are made, and connections accepted, nonblocking and close-on-exec
//! in the one system call that makes them.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, ipproto,
};
use socket2::{SockAddr, SockRef};

/// The longest list that the kernel takes in one vectored call.
const IOV_MAX: usize = 1024;

const FRESH: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// What `listen` takes for "as many as the system allows".
pub(crate) const MOST: i32 = i32::MAX;

/// A new socket for addresses like `addr`.
pub(crate) fn socket_for(addr: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = match addr {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let protocol = (kind == SocketType::STREAM).then_some(ipproto::TCP);
    Ok(rustix::net::socket_with(family, kind, FRESH, protocol)?)
}

/// A new Unix socket.
pub(crate) fn unix_socket(kind: SocketType) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, FRESH, None)?;
    Ok(socket)
}

/// Two new Unix sockets, connected to each other.
pub(crate) fn unix_pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    let pair = rustix::net::socketpair(AddressFamily::UNIX, kind, FRESH, None)?;
    Ok(pair)
}

/// A socket that listens at `addr`.
pub(crate) fn listen_tcp(addr: SocketAddr) -> io::Result<net::TcpListener> {
    let socket = socket_for(addr, SocketType::STREAM)?;
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &addr)?;
    rustix::net::listen(&socket, MOST)?;
    Ok(socket.into())
}

/// The next connection that waits to be accepted.
pub(crate) fn accept_tcp(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (socket, peer) = rustix::net::acceptfrom_with(listener, FRESH)?;
    let peer = peer.ok_or(Errno::AFNOSUPPORT)?.try_into()?;
    Ok((socket.into(), peer))
}

/// The same of a Unix listener, with the peer's address as it comes.
pub(crate) fn accept_unix(listener: impl AsFd) -> io::Result<(OwnedFd, SockAddr)> {
    // Not by `rustix`, which panics over the longest possible path.
    let listener = SockRef::from(&listener);
    let (socket, peer) = listener.accept4(FRESH.bits().cast_signed())?;
    Ok((socket.into(), peer))
}

/// Begins a connection, or asks what has become of it: "would block" until it
/// stands. To call `connect` again is how one reads a connection's outcome
/// without trusting that it was its outcome that woke us.
pub(crate) fn connect_tcp(socket: &net::TcpStream, addr: SocketAddr) -> io::Result<()> {
    match rustix::net::connect(socket, &addr) {
        Err(Errno::INPROGRESS | Errno::ALREADY) => Err(io::ErrorKind::WouldBlock.into()),
        outcome => Ok(outcome?),
    }
}

/// The buffers that one call sends from: no more than the kernel takes, and
/// beginning with one that holds something, so that a call does not end in
/// nothing with data behind.
pub(crate) fn first_to_send<'a, 'b>(bufs: &'a [io::IoSlice<'b>]) -> &'a [io::IoSlice<'b>] {
    let filled = bufs.iter().position(|buf| !buf.is_empty());
    let bufs = &bufs[filled.unwrap_or(bufs.len())..];
    &bufs[..bufs.len().min(IOV_MAX)]
}

/// Sends from several buffers, as many as [`first_to_send`] picked, and never
/// with a `SIGPIPE`.
pub(crate) fn send_vectored(socket: impl AsFd, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
    let mut nothing = SendAncillaryBuffer::default();
    let sent = rustix::net::sendmsg(socket, bufs, &mut nothing, SendFlags::NOSIGNAL)?;
    Ok(sent)
}

/// Who sent the datagram that is first in line, which stays there.
pub(crate) fn peek_sender(socket: impl AsFd) -> io::Result<SocketAddr> {
    sender_ip(&SockRef::from(&socket).peek_sender()?)
}

/// A sender's address, which every datagram of these families has.
pub(crate) fn sender_ip(sender: &SockAddr) -> io::Result<SocketAddr> {
    let missing = || io::Error::other("the datagram has no sender's address");
    sender.as_socket().ok_or_else(missing)
}

/// Sees to it that `socket` does not block.
///
/// # Panics
/// In builds with debug assertions if it does: whoever made it forgot
/// something. Elsewhere it is made nonblocking, since to read from it would
/// stop a worker.
#[track_caller]
pub(crate) fn require_nonblocking(socket: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&socket)?;
    if flags.contains(rustix::fs::OFlags::NONBLOCK) {
        return Ok(());
    }
    if cfg!(debug_assertions) {
        panic!(
            "a blocking socket was given to the runtime: \
             call set_nonblocking(true) on it before from_std"
        );
    }
    Ok(rustix::fs::fcntl_setfl(
        &socket,
        flags | rustix::fs::OFlags::NONBLOCK,
    )?)
}

/// Shuts a stream's write half down. A connection that is gone already counts
/// as shut down.
pub(crate) fn shut_down_write(socket: impl AsFd) -> io::Result<()> {
    match rustix::net::shutdown(socket, rustix::net::Shutdown::Write) {
        Ok(()) | Err(Errno::NOTCONN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
