//! Between tokio's I/O traits and hyper's, in both directions.
//!
//! Both sides describe a buffer as "filled, then initialized, then not": the
//! adapter hands the same memory on, so that nothing is cleared and nothing is
//! copied.

#![expect(
    unsafe_code,
    reason = "handing uninitialized buffer memory from one trait to the other"
)]

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use pin_project_lite::pin_project;
use tapio::io::{AsyncRead, AsyncWrite, ReadBuf};

pin_project! {
    /// Gives a stream the I/O traits of the other side.
    ///
    /// Around a [`tapio::net::TcpStream`], or anything else with tokio's
    /// `AsyncRead` and `AsyncWrite`, it has hyper's [`Read`] and [`Write`];
    /// around a type of hyper's, such as [`hyper::upgrade::Upgraded`], it has
    /// tokio's.
    ///
    /// # Cost
    ///
    /// None: no buffer, no copy, no clearing of memory, and vectored writes are
    /// passed on as they are.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct TapioIo<T> {
        #[pin]
        stream: T,
    }
}

impl<T> TapioIo<T> {
    /// Wraps a stream.
    pub const fn new(stream: T) -> Self {
        Self { stream }
    }

    /// Borrows the stream.
    pub const fn inner(&self) -> &T {
        &self.stream
    }

    /// Borrows the stream mutably.
    pub const fn inner_mut(&mut self) -> &mut T {
        &mut self.stream
    }

    /// Gives the stream back. Nothing is lost: the wrapper buffers nothing.
    pub fn into_inner(self) -> T {
        self.stream
    }
}

/// Reads from a stream with tokio's trait into a buffer of hyper's.
pub(crate) fn read_into<T: AsyncRead>(
    stream: Pin<&mut T>,
    cx: &mut Context<'_>,
    mut cursor: ReadBufCursor<'_>,
) -> Poll<io::Result<usize>> {
    let count = {
        // SAFETY: the cursor asks that no initialized byte becomes
        // uninitialized. Only `ReadBuf` writes to the slice, which never does
        // that, and nobody else can reach it while `cursor` is borrowed.
        let mut buf = ReadBuf::uninit(unsafe { cursor.as_mut() });
        let start = buf.filled().as_ptr();
        ready!(stream.poll_read(cx, &mut buf))?;
        // A reader is safe code and could put another buffer in the place of
        // this one; what it filled then would not be ours.
        assert_eq!(
            start,
            buf.filled().as_ptr(),
            "the reader exchanged the buffer"
        );
        buf.filled().len()
    };
    // SAFETY: the filled part of a `ReadBuf` is initialized, and it begins where
    // the cursor stands, as was just checked.
    unsafe { cursor.advance(count) };
    Poll::Ready(Ok(count))
}

impl<T: AsyncRead> Read for TapioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        read_into(self.project().stream, cx, cursor).map_ok(drop)
    }
}

impl<T: AsyncWrite> Write for TapioIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, slices)
    }
}

impl<T: Read> AsyncRead for TapioIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = {
            // SAFETY: no initialized byte may become uninitialized here. Only
            // hyper's `ReadBuf` writes to the slice, which never does that.
            let mut inner = hyper::rt::ReadBuf::uninit(unsafe { buf.unfilled_mut() });
            ready!(self.project().stream.poll_read(cx, inner.unfilled()))?;
            inner.filled().len()
        };
        // SAFETY: the filled part of hyper's buffer is initialized, and it began
        // where the unfilled part of `buf` begins.
        unsafe { buf.assume_init(count) };
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: Write> AsyncWrite for TapioIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().stream.poll_write_vectored(cx, slices)
    }
}
