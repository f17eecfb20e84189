//! What can be set on a TCP connection.

use std::io;
use std::time::Duration;

use socket2::SockRef;

use crate::net::TcpStream;

impl TcpStream {
    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get().nodelay()
    }

    /// Sends small writes at once (`TCP_NODELAY`), instead of gathering them
    /// while an earlier one is not acknowledged.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get().set_nodelay(nodelay)
    }

    /// Whether what arrives is acknowledged at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_quickack()
    }

    /// Acknowledges what arrives at once (`TCP_QUICKACK`). The kernel may fall
    /// back to delaying by itself.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_quickack(quickack)
    }

    /// How long a close waits for unsent data (`SO_LINGER`), if it does.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
    }

    /// Has a close wait for unsent data (`SO_LINGER`).
    ///
    /// # Errors
    /// What the kernel answers.
    #[deprecated = "with SO_LINGER, dropping the stream blocks the thread"]
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        SockRef::from(self).set_linger(duration)
    }

    /// Has a close throw away what is unsent and reset the connection
    /// (`SO_LINGER` of zero), which never blocks.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
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
