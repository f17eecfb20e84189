//! Looking at a datagram without taking it.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tapio_driver::Direction;

use crate::io::ReadBuf;
use crate::net::{UdpSocket, fill, sys};

impl UdpSocket {
    /// Looks at the next datagram, which stays there.
    ///
    /// Waits until one is there. What does not fit into `buf` is not shown.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io
            .async_io(Self::RECEIVABLE, |socket| socket.peek(buf))
            .await
    }

    /// [`peek`](Self::peek) in the shape of a poll function. Of several tasks
    /// that poll for receiving, the last one is woken.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let peek = |socket: &_| fill::recv(socket, buf, RecvFlags::PEEK);
        self.io.poll_io(cx, Direction::Read, peek).map_ok(drop)
    }

    /// Looks at a datagram that is there already, without waiting.
    ///
    /// # Errors
    /// As for [`try_recv`](Self::try_recv).
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io.try_io(Self::RECEIVABLE, || self.io.get().peek(buf))
    }

    /// Looks at the next datagram and at who sent it. It stays there.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .async_io(Self::RECEIVABLE, |socket| socket.peek_from(buf))
            .await
    }

    /// [`peek_from`](Self::peek_from) in the shape of a poll function. Of
    /// several tasks that poll for receiving, the last one is woken.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.io.poll_io(cx, Direction::Read, |socket| {
            let (_, sender) = fill::recv_from(socket, buf, RecvFlags::PEEK)?;
            sys::sender_ip(&sender)
        })
    }

    /// Looks at a datagram that is there already, and at who sent it.
    ///
    /// # Errors
    /// As for [`try_recv`](Self::try_recv).
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .try_io(Self::RECEIVABLE, || self.io.get().peek_from(buf))
    }

    /// Who sent the next datagram, which stays there.
    ///
    /// Waits until one is there.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.io
            .async_io(Self::RECEIVABLE, |socket| sys::peek_sender(socket))
            .await
    }

    /// [`peek_sender`](Self::peek_sender) in the shape of a poll function. Of
    /// several tasks that poll for receiving, the last one is woken.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.io
            .poll_io(cx, Direction::Read, |socket| sys::peek_sender(socket))
    }

    /// Who sent the datagram that is there already.
    ///
    /// # Errors
    /// As for [`try_recv`](Self::try_recv).
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        self.io
            .try_io(Self::RECEIVABLE, || sys::peek_sender(self.io.get()))
    }
}
