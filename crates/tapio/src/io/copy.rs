//! Copying, within the cooperative budget.
//!
//! tokio's own helpers spend the budget of tokio's runtime, which is not
//! there. Here the reader spends ours, so that a copy between two ends that
//! are always ready gives way like everything else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::coop;

/// Copies all of `reader` into `writer` and says how many bytes that were.
///
/// Waits for both ends; ends when the reader ends, and flushes the writer.
///
/// # Errors
/// The first error of either end.
///
/// # Cancel safety
/// Not cancel safe: bytes that were read and not written yet are lost when
/// the future is dropped.
pub async fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    tokio::io::copy(&mut Budgeted(reader), writer).await
}

/// As [`copy`], through the reader's own buffer.
///
/// # Errors
/// The first error of either end.
///
/// # Cancel safety
/// Bytes are taken from the reader as they are written, so none is lost; how
/// many were copied is.
pub async fn copy_buf<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncBufRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    tokio::io::copy_buf(&mut Budgeted(reader), writer).await
}

/// Copies both ways between two streams until both directions have ended.
/// Gives how many bytes went from `a` to `b`, and from `b` to `a`.
///
/// When one stream ends, the other is shut down for writing.
///
/// # Errors
/// The first error in either direction.
///
/// # Cancel safety
/// Not cancel safe: bytes that were read and not written yet are lost when
/// the future is dropped.
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    tokio::io::copy_bidirectional(&mut Budgeted(a), &mut Budgeted(b)).await
}

/// As [`copy_bidirectional`], with buffers of these sizes in bytes.
///
/// # Errors
/// The first error in either direction.
///
/// # Panics
/// When a size is zero.
///
/// # Cancel safety
/// As [`copy_bidirectional`].
pub async fn copy_bidirectional_with_sizes<A, B>(
    a: &mut A,
    b: &mut B,
    a_to_b: usize,
    b_to_a: usize,
) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let (mut a, mut b) = (Budgeted(a), Budgeted(b));
    tokio::io::copy_bidirectional_with_sizes(&mut a, &mut b, a_to_b, b_to_a).await
}

/// A reader each of whose reads spends one unit of the budget.
struct Budgeted<'a, R: ?Sized>(&'a mut R);

impl<R: AsyncRead + Unpin + ?Sized> AsyncRead for Budgeted<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let spent = ready!(coop::poll_proceed(cx));
        let outcome = ready!(Pin::new(&mut *self.0).poll_read(cx, buffer));
        spent.made_progress();
        Poll::Ready(outcome)
    }
}

impl<R: AsyncBufRead + Unpin + ?Sized> AsyncBufRead for Budgeted<'_, R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let spent = ready!(coop::poll_proceed(cx));
        let outcome = ready!(Pin::new(&mut *self.get_mut().0).poll_fill_buf(cx));
        spent.made_progress();
        Poll::Ready(outcome)
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        Pin::new(&mut *self.0).consume(count);
    }
}

impl<W: AsyncWrite + Unpin + ?Sized> AsyncWrite for Budgeted<'_, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
