//! The stream of a connection as hyper gets it.
//!
//! It replays the bytes that were read to tell the protocol, counts, and keeps
//! its connection on the list of open ones for as long as it exists: that is
//! longer than the connection's task when the protocol is changed.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use tapio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::rt::read_into;
use crate::serve::registry::Entry;
use crate::serve::state::{Phase, State};

/// A connection's stream.
pub(super) struct Stream<T> {
    io: T,
    /// What was read ahead, and how much of it was given out.
    ahead: Option<(Box<[u8]>, usize)>,
    /// Whether the last write could not go on; mirrored in the state.
    is_send_blocked: bool,
    /// Asks how much of what was written the peer has not received.
    unsent: fn(&T) -> Option<u64>,
    entry: Entry,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    pub(super) fn new(io: T, entry: Entry, unsent: fn(&T) -> Option<u64>) -> Self {
        Self {
            io,
            ahead: None,
            is_send_blocked: false,
            unsent,
            entry,
        }
    }

    pub(super) fn state(&self) -> &Arc<State> {
        self.entry.state()
    }

    /// Reads before hyper does, to look at what comes.
    pub(super) fn poll_ahead(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        if outcome.is_ready() {
            self.state().add_bytes_in(buf.filled().len() - before);
        }
        outcome
    }

    /// Puts back what was read ahead; hyper reads it first.
    pub(super) fn put_back(&mut self, first: &[u8], then: &[u8]) {
        debug_assert!(self.ahead.is_none(), "the protocol is told once");
        let bytes = [first, then].concat();
        if !bytes.is_empty() {
            self.ahead = Some((bytes.into(), 0));
        }
    }

    /// After an upgrade nobody but the stream's owner can end it, so the server
    /// ends it through the stream. Before, its task sees to that.
    fn check_cut(&self) -> io::Result<()> {
        if self.state().is_upgraded() && self.state().phase() == Phase::Cut {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server stopped, and this connection was open at the drain deadline",
            ));
        }
        Ok(())
    }

    fn note_write(
        &mut self,
        cx: &Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = outcome {
            self.state().add_bytes_out(count);
        } else if outcome.is_pending() && (!self.is_send_blocked || self.state().is_unsent_asked())
        {
            // Not known is as good as none: then what was written counts.
            self.state()
                .set_unsent((self.unsent)(&self.io).unwrap_or(0));
        }
        if outcome.is_pending() != self.is_send_blocked {
            self.is_send_blocked = outcome.is_pending();
            self.state().set_send_blocked(self.is_send_blocked);
        }
        if outcome.is_pending() && self.state().is_upgraded() {
            self.state().writer.register(cx.waker());
            // The order may have come just before the registration.
            self.check_cut()?;
        }
        outcome
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Read for Stream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_cut()?;
        if let Some((bytes, given)) = &mut this.ahead {
            let count = cursor.remaining().min(bytes.len() - *given);
            cursor.put_slice(&bytes[*given..*given + count]);
            *given += count;
            if *given == bytes.len() {
                this.ahead = None;
            }
            return Poll::Ready(Ok(()));
        }
        match read_into(Pin::new(&mut this.io), cx, cursor) {
            Poll::Ready(Ok(count)) => {
                this.state().add_bytes_in(count);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if this.state().is_upgraded() {
                    this.state().task.register(cx.waker());
                    this.check_cut()?;
                }
                Poll::Pending
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Write for Stream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_cut()?;
        let outcome = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.note_write(cx, outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_cut()?;
        let outcome = Pin::new(&mut this.io).poll_write_vectored(cx, slices);
        this.note_write(cx, outcome)
    }
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("state", self.entry.state())
            .finish_non_exhaustive()
    }
}
