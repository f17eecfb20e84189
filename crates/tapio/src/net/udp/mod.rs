//! UDP.
//!
//! - `socket` binds, connects and exchanges datagrams
//! - `peek` looks at a datagram without taking it
//! - `options` are the socket's settings, multicast among them

mod options;
mod peek;
mod socket;

pub use self::socket::UdpSocket;
