//! Unix sockets and pipes: halves, addresses, credentials.
//!
//! Where a path is asked for, one that begins with a zero byte names a socket
//! in Linux's abstract namespace, which has no file.
//!
//! - `listener` accepts, `stream` is a connection, `datagram` exchanges
//!   datagrams, `socket` comes before any of these
//! - `split` holds the halves of a stream, `addr` an address, `cred` who the
//!   peer is
//! - [`pipe`] is the one-way channel that has no socket

mod addr;
mod cred;
pub(in crate::net) mod datagram;
pub(in crate::net) mod listener;
pub mod pipe;
mod pipe_open;
pub(in crate::net) mod socket;
mod split;
pub(in crate::net) mod stream;

pub use self::addr::SocketAddr;
pub use self::cred::{UCred, gid_t, pid_t, uid_t};
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
