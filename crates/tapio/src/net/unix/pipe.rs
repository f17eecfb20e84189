//! Pipes: one-way channels between processes, nameless or with a path.
//!
//! [`pipe()`] makes a nameless one. A pipe with a path (a FIFO, made by
//! `mkfifo`) is opened with [`OpenOptions`].

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use rustix::pipe::PipeFlags;
use tapio_driver::Direction;

pub use super::pipe_open::OpenOptions;
use super::pipe_open::{reading_end, set_blocking, writing_end};
use crate::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use crate::net::fill;
use crate::watched::Watched;

/// A new nameless pipe.
///
/// # Errors
/// What the kernel answers.
///
/// # Panics
/// Outside a runtime with I/O enabled.
///
/// # Examples
/// ```
/// use tapio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = tapio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (mut sender, mut receiver) = tapio::net::unix::pipe::pipe()?;
/// sender.write_all(b"hello").await?;
/// drop(sender);
/// let mut said = String::new();
/// receiver.read_to_string(&mut said).await?;
/// assert_eq!(said, "hello");
/// # std::io::Result::Ok(())
/// # })
/// # }
/// ```
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
    Ok((Sender::watch(writer)?, Receiver::watch(reader)?))
}

/// The writing end of a pipe.
///
/// Dropping the last writing end lets the reading end find the end of the
/// stream. Writing when no reading end is left fails with `BrokenPipe`.
#[derive(Debug)]
pub struct Sender {
    io: Watched<PipeWriter>,
}

/// The reading end of a pipe.
#[derive(Debug)]
pub struct Receiver {
    io: Watched<PipeReader>,
}

/// What both ends have, each for its own direction.
macro_rules! end {
    ($End:ident, $Pipe:ty, $check:ident) => {
        impl $End {
            /// Takes over a file that is this end of a pipe, and makes it
            /// nonblocking.
            ///
            /// # Errors
            /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no pipe
            /// or was not opened for this direction.
            ///
            /// # Panics
            /// Outside a runtime with I/O enabled.
            #[track_caller]
            pub fn from_file(file: File) -> io::Result<$End> {
                $End::from_owned_fd(file.into())
            }

            /// Takes over a descriptor that is this end of a pipe, and makes it
            /// nonblocking.
            ///
            /// # Errors
            /// As for [`from_file`](Self::from_file).
            ///
            /// # Panics
            /// Outside a runtime with I/O enabled.
            #[track_caller]
            pub fn from_owned_fd(fd: OwnedFd) -> io::Result<$End> {
                $check(&fd)?;
                $End::watch(fd)
            }

            /// Takes over a file without looking at it: it should be this end
            /// of a pipe, and nonblocking.
            ///
            /// # Errors
            /// What the kernel answers.
            ///
            /// # Panics
            /// Outside a runtime with I/O enabled.
            #[track_caller]
            pub fn from_file_unchecked(file: File) -> io::Result<$End> {
                $End::watch(file.into())
            }

            /// Takes over a descriptor without looking at it: it should be this
            /// end of a pipe, and nonblocking.
            ///
            /// # Errors
            /// What the kernel answers.
            ///
            /// # Panics
            /// Outside a runtime with I/O enabled.
            #[track_caller]
            pub fn from_owned_fd_unchecked(fd: OwnedFd) -> io::Result<$End> {
                $End::watch(fd)
            }

            // A pipe's other end must see at once that this one is closed, so
            // the driver is not to hold it open. It is registered right away:
            // a FIFO that no writer has opened yet reads as at its end, and
            // only the driver can tell that from a writer who has left.
            #[track_caller]
            fn watch(fd: OwnedFd) -> io::Result<$End> {
                let io = Watched::new(<$Pipe>::from(fd))?;
                io.register_now()?;
                Ok($End { io })
            }

            /// Waits until the pipe is ready for any of `interest`, and says
            /// for what.
            ///
            /// # Errors
            /// If the runtime has been shut down, or cannot watch the pipe.
            ///
            /// # Cancel safety
            /// Dropping the future loses nothing.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.io.ready(interest).await
            }

            /// Gives the descriptor up, made blocking.
            ///
            /// # Errors
            /// What the kernel answers.
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                let fd = self.into_nonblocking_fd()?;
                set_blocking(&fd)?;
                Ok(fd)
            }

            /// Gives the descriptor up, nonblocking as it is.
            ///
            /// # Errors
            /// None at present.
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                Ok(self.io.into_inner().into())
            }
        }

        impl AsFd for $End {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.io.get().as_fd()
            }
        }

        impl AsRawFd for $End {
            fn as_raw_fd(&self) -> RawFd {
                self.io.get().as_raw_fd()
            }
        }
    };
}

end!(Sender, PipeWriter, writing_end);
end!(Receiver, PipeReader, reading_end);

impl Sender {
    /// Waits until something can be written, if only to meet an error.
    ///
    /// # Errors
    /// As for [`ready`](Self::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await?;
        Ok(())
    }

    /// Waits, in the shape of a poll function, until something can be written.
    /// Of several tasks that poll, the last one is woken.
    ///
    /// # Errors
    /// As for [`ready`](Self::ready).
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Write).map_ok(drop)
    }

    /// Writes what there is room for, without waiting.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room; what
    /// the kernel answers.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.io
            .try_io(Interest::WRITABLE, || self.io.get().write(buf))
    }

    /// Writes from several buffers in turn what there is room for, without
    /// waiting.
    ///
    /// # Errors
    /// As for [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.io
            .try_io(Interest::WRITABLE, || self.io.get().write_vectored(bufs))
    }

    /// Makes a nonblocking call of the caller's own, if the pipe is ready for
    /// writing. It must answer `WouldBlock` only if the pipe did.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the pipe is not ready;
    /// otherwise what `call` answers.
    pub fn try_io<R>(&self, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.io.try_io(Interest::WRITABLE, call)
    }
}

impl Receiver {
    /// Waits until something can be read: data, the end of the stream, or an
    /// error.
    ///
    /// # Errors
    /// As for [`ready`](Self::ready).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await?;
        Ok(())
    }

    /// Waits, in the shape of a poll function, until something can be read. Of
    /// several tasks that poll, the last one is woken.
    ///
    /// # Errors
    /// As for [`ready`](Self::ready).
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_ready(cx, Direction::Read).map_ok(drop)
    }

    /// Reads what is there, without waiting. Zero is the end of the stream, if
    /// `buf` has room.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there; what
    /// the kernel answers.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.io
            .try_io(Interest::READABLE, || self.io.get().read(buf))
    }

    /// Reads what is there into several buffers in turn, without waiting.
    ///
    /// # Errors
    /// As for [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        self.io
            .try_io(Interest::READABLE, || self.io.get().read_vectored(bufs))
    }

    /// Reads what is there into the spare room of `buf`, without waiting.
    ///
    /// # Errors
    /// As for [`try_read`](Self::try_read).
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        self.io
            .try_io(Interest::READABLE, || fill::read_buf(self.io.get(), buf))
    }

    /// Makes a nonblocking call of the caller's own, if the pipe is ready for
    /// reading. It must answer `WouldBlock` only if the pipe did.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the pipe is not ready;
    /// otherwise what `call` answers.
    pub fn try_io<R>(&self, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.io.try_io(Interest::READABLE, call)
    }
}

impl AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io
            .poll_io(cx, Direction::Write, |mut pipe| pipe.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io
            .poll_io(cx, Direction::Write, |mut pipe| pipe.write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: a pipe ends when its last writing end is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io
            .poll_io(cx, Direction::Read, |pipe| fill::read(pipe, buf))
            .map_ok(drop)
    }
}
