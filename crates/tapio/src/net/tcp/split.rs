//! The halves of a TCP connection.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BufMut;

use crate::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use crate::net::TcpStream;

halves!(TcpStream, SocketAddr);

impl ReadHalf<'_> {
    /// Reads without taking; see [`TcpStream::peek`].
    ///
    /// # Errors
    /// What the kernel answers.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buf).await
    }

    /// [`peek`](Self::peek) in the shape of a poll function.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.0.poll_peek(cx, buf)
    }
}

impl OwnedReadHalf {
    /// Reads without taking; see [`TcpStream::peek`].
    ///
    /// # Errors
    /// What the kernel answers.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(buf).await
    }

    /// [`peek`](Self::peek) in the shape of a poll function.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_peek(cx, buf)
    }
}
