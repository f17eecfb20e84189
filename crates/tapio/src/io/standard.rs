//! The process's standard streams.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::io::offload::Offload;
use crate::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The process's standard input. See [`stdin`].
#[derive(Debug)]
pub struct Stdin(Offload<io::Stdin>);

/// The process's standard output. See [`stdout`].
#[derive(Debug)]
pub struct Stdout(Offload<io::Stdout>);

/// The process's standard error. See [`stderr`].
#[derive(Debug)]
pub struct Stderr(Offload<io::Stderr>);

/// The process's standard input.
///
/// Reads are made on the pool for blocking calls, since a standard stream may
/// be a file or a terminal that others share. A read that has begun cannot be
/// taken back: it holds up the end of the runtime until a line is there. For
/// talking to a user it is better to read on a thread of one's own.
///
/// What a read has found when its future is dropped is kept for the next read
/// of the same handle.
#[must_use]
#[track_caller]
pub fn stdin() -> Stdin {
    Stdin(Offload::new(io::stdin()))
}

/// The process's standard output.
///
/// A write is taken at once and made on the pool for blocking calls; the next
/// one waits for it. Flush before the runtime ends, or the last write may be
/// lost. Several handles may interleave what they write.
///
/// # Examples
/// ```
/// use tapio::io::AsyncWriteExt;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = tapio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let mut stdout = tapio::io::stdout();
/// stdout.write_all(b"hello\n").await?;
/// stdout.flush().await
/// # })
/// # }
/// ```
#[must_use]
#[track_caller]
pub fn stdout() -> Stdout {
    Stdout(Offload::new(io::stdout()))
}

/// The process's standard error. As for [`stdout`], flush before the end.
#[must_use]
#[track_caller]
pub fn stderr() -> Stderr {
    Stderr(Offload::new(io::stderr()))
}

impl AsyncRead for Stdin {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Standard output and standard error differ in their descriptor only.
macro_rules! output {
    ($Stream:ident, $fd:path) => {
        impl AsyncWrite for $Stream {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write(cx, buf)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.poll_flush(cx)
            }
        }

        impl AsFd for $Stream {
            fn as_fd(&self) -> BorrowedFd<'_> {
                $fd()
            }
        }

        impl AsRawFd for $Stream {
            fn as_raw_fd(&self) -> RawFd {
                self.as_fd().as_raw_fd()
            }
        }
    };
}

output!(Stdout, rustix::stdio::stdout);
output!(Stderr, rustix::stdio::stderr);
