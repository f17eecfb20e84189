//! A TCP socket that is neither connected nor listening yet.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::net::{TcpListener, TcpStream};

/// A TCP socket that is neither connected nor listening yet, for setting
/// options first.
///
/// The socket belongs to no runtime until it becomes a [`TcpStream`] or a
/// [`TcpListener`].
///
/// # Examples
/// ```no_run
/// use tapio::net::TcpSocket;
///
/// # async fn listen() -> std::io::Result<()> {
/// let socket = TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.set_reuseport(true)?;
/// socket.bind("127.0.0.1:8080".parse().expect("an address"))?;
/// let listener = socket.listen(1024)?;
/// # Ok(())
/// # }
/// ```
pub struct TcpSocket {
    socket: Socket,
}

impl TcpSocket {
    /// A new socket for IPv4.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV4)
    }

    /// A new socket for IPv6.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<TcpSocket> {
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        Ok(TcpSocket { socket })
    }

    /// Takes over a stream of the standard library that is not connected.
    ///
    /// It must be nonblocking already.
    pub fn from_std_stream(stream: net::TcpStream) -> TcpSocket {
        TcpSocket::from_socket(stream.into())
    }

    pub(in crate::net) fn from_socket(socket: Socket) -> TcpSocket {
        TcpSocket { socket }
    }

    pub(in crate::net) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Binds the socket to an address of this machine.
    ///
    /// # Errors
    /// What the kernel answers, `AddrInUse` for example.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.socket.bind(&addr.into())
    }

    /// Connects to `addr`.
    ///
    /// Waits until the peer has accepted.
    ///
    /// # Errors
    /// What became of the attempt, `ConnectionRefused` for example.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    ///
    /// # Cancel safety
    /// Dropping the future gives the attempt up and closes the socket.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect_with(self.socket.into(), addr).await
    }

    /// Listens at the address that the socket was bound to.
    ///
    /// `backlog` is how many connections may wait to be accepted; the system
    /// has a limit of its own (`net.core.somaxconn`).
    ///
    /// # Errors
    /// What the kernel answers.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.socket.listen(backlog.try_into().unwrap_or(i32::MAX))?;
        TcpListener::watch(self.socket.into())
    }

    /// The address that the socket was bound to.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()?.as_socket().ok_or_else(|| {
            let message = "the socket's address is neither IPv4 nor IPv6";
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }

    /// Takes the error that is pending on the socket (`SO_ERROR`), if there is
    /// one.
    ///
    /// # Errors
    /// What the kernel answers to the question itself.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }
}

/// A getter and a setter for one option, under tokio's names.
macro_rules! option {
    ($(#[$doc:meta])* $get:ident, $set:ident, $type:ty, $their_get:ident, $their_set:ident) => {
        impl TcpSocket {
            $(#[$doc])*
            ///
            /// # Errors
            /// What the kernel answers.
            pub fn $get(&self) -> io::Result<$type> {
                self.socket.$their_get()
            }

            #[doc = concat!("Sets what [`", stringify!($get), "`](Self::", stringify!($get), ") tells.")]
            ///
            /// # Errors
            /// What the kernel answers.
            pub fn $set(&self, value: $type) -> io::Result<()> {
                self.socket.$their_set(value)
            }
        }
    };
}

option! {
    /// Whether an idle connection is probed from time to time (`SO_KEEPALIVE`).
    keepalive, set_keepalive, bool, keepalive, set_keepalive
}
option! {
    /// Whether the address may be bound while old connections of it linger
    /// (`SO_REUSEADDR`).
    reuseaddr, set_reuseaddr, bool, reuse_address, set_reuse_address
}
option! {
    /// Whether several sockets may be bound to the address and share its
    /// connections (`SO_REUSEPORT`).
    reuseport, set_reuseport, bool, reuse_port, set_reuse_port
}
option! {
    /// Whether small writes are sent at once (`TCP_NODELAY`).
    nodelay, set_nodelay, bool, tcp_nodelay, set_tcp_nodelay
}
option! {
    /// The traffic class of IPv6 packets (`IPV6_TCLASS`).
    tclass_v6, set_tclass_v6, u32, tclass_v6, set_tclass_v6
}
option! {
    /// The type of service of IPv4 packets (`IP_TOS`).
    tos_v4, set_tos_v4, u32, tos_v4, set_tos_v4
}

impl TcpSocket {
    /// The size of the buffer for sending (`SO_SNDBUF`), which on Linux is
    /// twice what was set.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        self.socket
            .send_buffer_size()
            .map(|size| size.try_into().unwrap_or(u32::MAX))
    }

    /// Sets the size of the buffer for sending (`SO_SNDBUF`).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_send_buffer_size(size as usize)
    }

    /// The size of the buffer for receiving (`SO_RCVBUF`), which on Linux is
    /// twice what was set.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        self.socket
            .recv_buffer_size()
            .map(|size| size.try_into().unwrap_or(u32::MAX))
    }

    /// Sets the size of the buffer for receiving (`SO_RCVBUF`).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.socket.set_recv_buffer_size(size as usize)
    }

    /// How long a close waits for unsent data (`SO_LINGER`), if it does.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.socket.linger()
    }

    /// Has a close wait for unsent data (`SO_LINGER`).
    ///
    /// # Errors
    /// What the kernel answers.
    #[deprecated = "with SO_LINGER, dropping the socket blocks the thread"]
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(duration)
    }

    /// Has a close throw away what is unsent and reset the connection
    /// (`SO_LINGER` of zero), which never blocks.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }

    /// The name of the network device that the socket is bound to
    /// (`SO_BINDTODEVICE`), if it is bound to one.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.socket.device()
    }

    /// Binds the socket to a network device (`SO_BINDTODEVICE`), or to none.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.socket.bind_device(interface)
    }

    #[deprecated = "the option is IPv4's own: use `tos_v4`"]
    #[doc(hidden)]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    #[deprecated = "the option is IPv4's own: use `set_tos_v4`"]
    #[doc(hidden)]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
