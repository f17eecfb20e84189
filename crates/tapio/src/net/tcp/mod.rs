//! TCP: the halves of a [`TcpStream`](crate::net::TcpStream).
//!
//! - `listener` accepts, `stream` is a connection, `options` its settings
//! - `socket` sets options before a socket connects or listens
//! - `split` holds the halves, borrowed and owned

pub(in crate::net) mod listener;
mod options;
pub(in crate::net) mod socket;
mod split;
pub(in crate::net) mod stream;

pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
