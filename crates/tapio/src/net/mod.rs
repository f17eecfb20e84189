//! Sockets: TCP, UDP and Unix.
//!
//! The names, signatures and semantics are tokio's. All sockets are made
//! inside a runtime (in a task, in `block_on`, or under
//! [`Handle::enter`](crate::runtime::Handle::enter)) and panic elsewhere; once
//! made, they may be used from any thread and any executor.
//!
//! - [`TcpListener`], [`TcpStream`], [`TcpSocket`] (options before connecting
//!   or listening), and [`tcp`] for the halves of a stream
//! - [`UdpSocket`]
//! - [`UnixListener`], [`UnixStream`], [`UnixDatagram`], [`UnixSocket`], and
//!   [`unix`] for halves, addresses, credentials and pipes
//! - [`ToSocketAddrs`] and [`lookup_host`]: names into addresses
//!
//! # How a socket waits
//! An operation is tried first. Only when the kernel says that it would block
//! does the task wait, and only then is the runtime's driver asked to watch the
//! socket. So a read that finds data costs one system call and no bookkeeping.

#[macro_use]
mod shared;
#[macro_use]
mod shared_datagram;
#[macro_use]
mod shared_halves;
#[macro_use]
mod shared_stream;
mod addr;
mod fill;
mod lookup;
mod raw;
mod sys;
pub mod tcp;
mod udp;
pub mod unix;

pub use self::addr::ToSocketAddrs;
pub use self::lookup::lookup_host;
pub use self::tcp::listener::TcpListener;
pub use self::tcp::socket::TcpSocket;
pub use self::tcp::stream::TcpStream;
pub use self::udp::UdpSocket;
pub use self::unix::datagram::UnixDatagram;
pub use self::unix::listener::UnixListener;
pub use self::unix::socket::UnixSocket;
pub use self::unix::stream::UnixStream;
