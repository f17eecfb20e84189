//! A descriptor of the user's own, watched by the runtime.

#![expect(
    unsafe_code,
    reason = "AsRawFd gives a number, and borrowing a number is unsafe"
)]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tapio_driver::Direction;

use crate::io::Interest;
use crate::io::unix::{AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError};
use crate::watched::Watched;

/// A descriptor that the runtime has no type for, watched for readiness.
///
/// For what `epoll` can watch: sockets of foreign libraries, `inotify`,
/// `eventfd`, `timerfd`, terminals; not for files on disk. The descriptor
/// should be nonblocking, and nothing else in the process should watch it.
///
/// The pattern is: wait until ready, try, and if that would block say so
/// through the guard and wait again. [`async_io`](Self::async_io) and the
/// guard's [`try_io`](AsyncFdReadyGuard::try_io) do this right; who calls
/// [`clear_ready`](AsyncFdReadyGuard::clear_ready) by hand must do so only
/// after the descriptor answered `WouldBlock`, or it may wait for ever.
///
/// Dropping it ends the watch and drops the inner value, which closes the
/// descriptor if it owns it.
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use tapio::io::unix::AsyncFd;
///
/// # fn main() -> std::io::Result<()> {
/// # let runtime = tapio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (near, mut far) = std::os::unix::net::UnixStream::pair()?;
/// near.set_nonblocking(true)?;
/// // SAFETY: the stream owns its descriptor and goes on answering with it.
/// let near = unsafe { AsyncFd::register(near) }?;
///
/// far.write_all(b"hello")?;
/// let mut buf = [0; 16];
/// let len = near
///     .async_io(tapio::io::Interest::READABLE, |mut stream| stream.read(&mut buf))
///     .await?;
/// assert_eq!(&buf[..len], b"hello");
/// # std::io::Result::Ok(())
/// # })
/// # }
/// ```
pub struct AsyncFd<T: AsRawFd> {
    // Dropped before `inner`, so the watch ends while the descriptor is open.
    pub(super) watched: Watched<Number>,
    inner: T,
}

/// The number that the inner value's descriptor had when it was registered.
#[derive(Debug)]
pub(super) struct Number(RawFd);

impl Number {
    /// No descriptor is negative, and none can be borrowed by such a number.
    fn of(inner: &impl AsRawFd) -> io::Result<Number> {
        match inner.as_raw_fd() {
            fd if fd < 0 => Err(Errno::BADF.into()),
            fd => Ok(Number(fd)),
        }
    }
}

impl AsFd for Number {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: whoever registers the inner value promises that it keeps
        // answering with this descriptor and that this stays open; we keep the
        // inner value as long as the number. Should that be broken, the kernel
        // watches another file or answers EBADF: no memory is touched.
        unsafe { BorrowedFd::borrow_raw(self.0) }
    }
}

impl<T: AsRawFd> AsyncFd<T> {
    #[track_caller]
    pub(super) fn watch(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        // A panic outside a runtime is to name our caller, so no closures.
        let watched = match Number::of(&inner) {
            Ok(number) => Watched::new(number),
            Err(cause) => Err(cause),
        };
        match watched.and_then(|watched| watched.register_now().map(|()| watched)) {
            Ok(watched) => Ok(AsyncFd { watched, inner }),
            Err(cause) => Err(AsyncFdRegisterError::new(inner, cause)),
        }
    }

    /// The inner value.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The inner value.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Ends the watch and gives the inner value back.
    pub fn into_inner(self) -> T {
        let AsyncFd { watched, inner } = self;
        drop(watched);
        inner
    }

    /// Waits, in the shape of a poll function, until a read makes progress. Of
    /// several tasks that poll for reading, the last one is woken.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    pub fn poll_read_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let event = ready!(self.watched.poll_ready(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// [`poll_read_ready`](Self::poll_read_ready), with a guard that lets the
    /// inner value be changed.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    pub fn poll_read_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let event = ready!(self.watched.poll_ready(cx, Direction::Read))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// Waits, in the shape of a poll function, until a write makes progress. Of
    /// several tasks that poll for writing, the last one is woken.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    pub fn poll_write_ready<'a>(
        &'a self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyGuard<'a, T>>> {
        let event = ready!(self.watched.poll_ready(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyGuard::new(self, event)))
    }

    /// [`poll_write_ready`](Self::poll_write_ready), with a guard that lets the
    /// inner value be changed.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    pub fn poll_write_ready_mut<'a>(
        &'a mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<AsyncFdReadyMutGuard<'a, T>>> {
        let event = ready!(self.watched.poll_ready(cx, Direction::Write))?;
        Poll::Ready(Ok(AsyncFdReadyMutGuard::new(self, event)))
    }

    /// Waits until the descriptor is ready for any of `interest`.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let event = self.watched.ready_event(interest).await?;
        Ok(AsyncFdReadyGuard::new(self, event))
    }

    /// [`ready`](Self::ready), with a guard that lets the inner value be
    /// changed.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn ready_mut(
        &mut self,
        interest: Interest,
    ) -> io::Result<AsyncFdReadyMutGuard<'_, T>> {
        let event = self.watched.ready_event(interest).await?;
        Ok(AsyncFdReadyMutGuard::new(self, event))
    }

    /// Waits until a read makes progress.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn readable<'a>(&'a self) -> io::Result<AsyncFdReadyGuard<'a, T>> {
        self.ready(Interest::READABLE).await
    }

    /// [`readable`](Self::readable), with a guard that lets the inner value be
    /// changed.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn readable_mut<'a>(&'a mut self) -> io::Result<AsyncFdReadyMutGuard<'a, T>> {
        self.ready_mut(Interest::READABLE).await
    }

    /// Waits until a write makes progress.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn writable<'a>(&'a self) -> io::Result<AsyncFdReadyGuard<'a, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// [`writable`](Self::writable), with a guard that lets the inner value be
    /// changed.
    ///
    /// # Errors
    /// If the runtime has been shut down.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn writable_mut<'a>(&'a mut self) -> io::Result<AsyncFdReadyMutGuard<'a, T>> {
        self.ready_mut(Interest::WRITABLE).await
    }

    /// Calls `call` until it no longer would block, waiting for `interest` in
    /// between.
    ///
    /// # Errors
    /// What `call` answers; if the runtime has been shut down.
    ///
    /// # Cancel safety
    /// If the future is dropped, the last `call` would have blocked, and so did
    /// nothing.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.watched.async_io(interest, |_| call(&self.inner)).await
    }

    /// [`async_io`](Self::async_io), letting the inner value be changed.
    ///
    /// # Errors
    /// As for [`async_io`](Self::async_io).
    ///
    /// # Cancel safety
    /// As for [`async_io`](Self::async_io).
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut call: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let inner = &mut self.inner;
        self.watched.async_io(interest, |_| call(inner)).await
    }

    /// Calls `call` if the descriptor is ready for `interest`.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when it is not ready (`call`
    /// is not made then); otherwise what `call` answers.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.watched.try_io(interest, || call(&self.inner))
    }

    /// [`try_io`](Self::try_io), letting the inner value be changed.
    ///
    /// # Errors
    /// As for [`try_io`](Self::try_io).
    pub fn try_io_mut<R>(
        &mut self,
        interest: Interest,
        call: impl FnOnce(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let inner = &mut self.inner;
        self.watched.try_io(interest, || call(inner))
    }
}

impl<T: AsRawFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl<T: AsRawFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the inner value is borrowed for as long as the descriptor,
        // and keeps it open: see `Number`.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}

// The watch has no state of its own that a panic could leave halfway.
impl<T: AsRawFd + UnwindSafe> UnwindSafe for AsyncFd<T> {}
impl<T: AsRawFd + RefUnwindSafe> RefUnwindSafe for AsyncFd<T> {}

impl<T: fmt::Debug + AsRawFd> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd")
            .field("inner", &self.inner)
            .finish()
    }
}
