//! Sockets from bare descriptor numbers.

#![expect(
    unsafe_code,
    reason = "FromRawFd takes a number on trust, and its method is unsafe"
)]

use std::os::fd::{FromRawFd, IntoRawFd, RawFd};

use crate::net::{TcpSocket, UnixSocket};

impl FromRawFd for TcpSocket {
    /// Takes ownership of a descriptor.
    ///
    /// # Safety
    /// `fd` must be open, owned by the caller and owned by nobody else. It
    /// should be a nonblocking TCP socket.
    unsafe fn from_raw_fd(fd: RawFd) -> TcpSocket {
        // SAFETY: the caller gives ownership of an open descriptor, as this
        // method's own contract asks.
        TcpSocket::from_socket(unsafe { socket2::Socket::from_raw_fd(fd) })
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        self.into_socket().into_raw_fd()
    }
}

impl FromRawFd for UnixSocket {
    /// Takes ownership of a descriptor.
    ///
    /// # Safety
    /// `fd` must be open, owned by the caller and owned by nobody else. It
    /// should be a nonblocking Unix socket.
    unsafe fn from_raw_fd(fd: RawFd) -> UnixSocket {
        // SAFETY: the caller gives ownership of an open descriptor, as this
        // method's own contract asks.
        UnixSocket::from_socket(unsafe { socket2::Socket::from_raw_fd(fd) })
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        self.into_socket().into_raw_fd()
    }
}
