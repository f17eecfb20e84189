//! What `serve` accepts connections from.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tapio::io::{AsyncRead, AsyncWrite};
use tapio::net::{TcpListener, TcpStream, UnixListener, UnixStream, unix};

use crate::serve::report::Peer;
use crate::serve::unsent::unsent;

/// A source of connections.
///
/// It is there for [`TcpListener`] and [`UnixListener`]; implement it to accept
/// from something else (a listener that speaks TLS, or one in memory).
pub trait Listener: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Who is at the other end; services made per connection are made from it.
    type Addr: Send + 'static;

    /// Where it is listened.
    type LocalAddr;

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Errors that belong to one connection, or that pass (no file descriptor
    /// left), are passed on as they are: `serve` counts them, waits where that
    /// helps, and calls again. [`io::ErrorKind::InvalidInput`] and
    /// [`io::ErrorKind::Other`] end the server: the listener itself is broken.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the server stops or meets its limit, so an
    /// implementation loses no connection then.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Self::Addr)>> + Send;

    /// Returns the address that is listened on.
    ///
    /// # Errors
    ///
    /// What the system call says.
    fn local_addr(&self) -> io::Result<Self::LocalAddr>;

    /// Names the other end in logs and reports. It is asked right after
    /// [`accept`](Listener::accept), with what that returned.
    fn peer(&self, stream: &Self::Io, addr: &Self::Addr) -> Peer {
        let _ = (stream, addr);
        Peer::Unnamed
    }

    /// Turns Nagle's algorithm off, or on; does nothing where there is none.
    ///
    /// # Errors
    ///
    /// What the system call says. `serve` logs it and goes on.
    fn set_nodelay(&self, stream: &Self::Io, nodelay: bool) -> io::Result<()> {
        let _ = (stream, nodelay);
        Ok(())
    }

    /// Returns how many of the bytes that were written the peer has not received
    /// yet, or `None` where that cannot be known.
    ///
    /// It is asked when a write has been waiting for long: without it, a slow
    /// reader and a large buffer of the kernel look like one that reads nothing.
    fn unsent(stream: &Self::Io) -> Option<u64>
    where
        Self: Sized,
    {
        let _ = stream;
        None
    }
}

impl Listener for TcpListener {
    type Io = TcpStream;
    type Addr = SocketAddr;
    type LocalAddr = SocketAddr;

    fn accept(&mut self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        TcpListener::accept(self)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }

    fn peer(&self, _stream: &TcpStream, addr: &SocketAddr) -> Peer {
        Peer::Ip(*addr)
    }

    fn set_nodelay(&self, stream: &TcpStream, nodelay: bool) -> io::Result<()> {
        stream.set_nodelay(nodelay)
    }

    fn unsent(stream: &TcpStream) -> Option<u64> {
        unsent(stream)
    }
}

impl Listener for UnixListener {
    type Io = UnixStream;
    type Addr = unix::SocketAddr;
    type LocalAddr = unix::SocketAddr;

    fn accept(
        &mut self,
    ) -> impl Future<Output = io::Result<(UnixStream, unix::SocketAddr)>> + Send {
        UnixListener::accept(self)
    }

    fn local_addr(&self) -> io::Result<unix::SocketAddr> {
        UnixListener::local_addr(self)
    }

    // Clients of a Unix socket hardly ever have an address; the kernel knows
    // their process instead.
    fn peer(&self, stream: &UnixStream, addr: &unix::SocketAddr) -> Peer {
        Peer::Unix {
            path: addr.as_pathname().map(Into::into),
            pid: stream.peer_cred().ok().and_then(|cred| cred.pid()),
        }
    }

    fn unsent(stream: &UnixStream) -> Option<u64> {
        unsent(stream)
    }
}

/// Adaptors for every [`Listener`].
pub trait ListenerExt: Listener + Sized {
    /// Calls a function with each new connection before it is served, to set an
    /// option on it for instance.
    fn tap_io<F>(self, tap: F) -> TapIo<Self, F>
    where
        F: FnMut(&mut Self::Io) + Send + 'static,
    {
        TapIo {
            listener: self,
            tap,
        }
    }

    /// Replaces the address by what a function makes of connection and address.
    ///
    /// That is how handlers learn more than the address: give the function's
    /// result to axum's `into_make_service_with_connect_info`, whose `Connected`
    /// trait the type then implements for itself. `examples/unix.rs` does so.
    fn map_addr<F, A>(self, map: F) -> MapAddr<Self, F>
    where
        F: Fn(&Self::Io, Self::Addr) -> A + Send + 'static,
        A: Send + 'static,
    {
        MapAddr {
            listener: self,
            map,
            newest: Peer::Unnamed,
        }
    }
}

impl<L: Listener> ListenerExt for L {}

/// The listener that [`ListenerExt::tap_io`] returns.
pub struct TapIo<L, F> {
    listener: L,
    tap: F,
}

impl<L, F> Listener for TapIo<L, F>
where
    L: Listener,
    F: FnMut(&mut L::Io) + Send + 'static,
{
    type Io = L::Io;
    type Addr = L::Addr;
    type LocalAddr = L::LocalAddr;

    async fn accept(&mut self) -> io::Result<(L::Io, L::Addr)> {
        let (mut stream, addr) = self.listener.accept().await?;
        (self.tap)(&mut stream);
        Ok((stream, addr))
    }

    fn local_addr(&self) -> io::Result<L::LocalAddr> {
        self.listener.local_addr()
    }

    fn peer(&self, stream: &L::Io, addr: &L::Addr) -> Peer {
        self.listener.peer(stream, addr)
    }

    fn set_nodelay(&self, stream: &L::Io, nodelay: bool) -> io::Result<()> {
        self.listener.set_nodelay(stream, nodelay)
    }

    fn unsent(stream: &L::Io) -> Option<u64> {
        L::unsent(stream)
    }
}

impl<L: fmt::Debug, F> fmt::Debug for TapIo<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapIo")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

/// The listener that [`ListenerExt::map_addr`] returns.
pub struct MapAddr<L, F> {
    listener: L,
    map: F,
    // The map consumes the address, so the name is taken from it before.
    newest: Peer,
}

impl<L, F, A> Listener for MapAddr<L, F>
where
    L: Listener,
    F: Fn(&L::Io, L::Addr) -> A + Send + 'static,
    A: Send + 'static,
{
    type Io = L::Io;
    type Addr = A;
    type LocalAddr = L::LocalAddr;

    async fn accept(&mut self) -> io::Result<(L::Io, A)> {
        let (stream, addr) = self.listener.accept().await?;
        self.newest = self.listener.peer(&stream, &addr);
        let addr = (self.map)(&stream, addr);
        Ok((stream, addr))
    }

    fn local_addr(&self) -> io::Result<L::LocalAddr> {
        self.listener.local_addr()
    }

    fn peer(&self, _stream: &L::Io, _addr: &A) -> Peer {
        self.newest.clone()
    }

    fn set_nodelay(&self, stream: &L::Io, nodelay: bool) -> io::Result<()> {
        self.listener.set_nodelay(stream, nodelay)
    }

    fn unsent(stream: &L::Io) -> Option<u64> {
        L::unsent(stream)
    }
}

impl<L: fmt::Debug, F> fmt::Debug for MapAddr<L, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapAddr")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}
