//! Making an `AsyncFd`, and what may go wrong.

#![expect(
    unsafe_code,
    reason = "registering asks the caller to keep the descriptor open"
)]

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use crate::io::Interest;
use crate::io::unix::AsyncFd;

impl<T: AsRawFd> AsyncFd<T> {
    /// Has the runtime watch `inner`, for reading and writing.
    ///
    /// # Safety
    /// `inner` must own its descriptor or outlive whatever does: from now until
    /// it is dropped or given back, `as_raw_fd` must answer with the same open
    /// descriptor. (`get_mut` must not be used to replace it.)
    ///
    /// # Errors
    /// What the kernel answers, with `inner`: `PermissionDenied` for a file on
    /// disk, `AlreadyExists` if the same worker's driver watches this descriptor
    /// already.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub unsafe fn register(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::watch(inner)
    }

    /// [`register`](Self::register), saying what will be waited for.
    ///
    /// # Safety
    /// As for [`register`](Self::register).
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub unsafe fn register_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        // The kernel is asked for everything in any case: a report that nobody
        // waits for wakes nobody.
        let _ = interest;
        AsyncFd::watch(inner)
    }
}

/// tokio's older constructors, which promise on the caller's behalf what
/// [`AsyncFd::register`] asks the caller to promise.
impl<T: AsRawFd> AsyncFd<T> {
    /// See [`register`](Self::register).
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    #[deprecated = "does not ask that the descriptor stay open: use `AsyncFd::register`"]
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        Ok(AsyncFd::watch(inner)?)
    }

    /// See [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    #[deprecated = "does not ask that the descriptor stay open: use `AsyncFd::register_with_interest`"]
    pub fn with_interest(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
        let _ = interest;
        Ok(AsyncFd::watch(inner)?)
    }

    /// See [`register`](Self::register).
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    #[deprecated = "does not ask that the descriptor stay open: use `AsyncFd::register`"]
    pub fn try_new(inner: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        AsyncFd::watch(inner)
    }

    /// See [`register_with_interest`](Self::register_with_interest).
    ///
    /// # Errors
    /// As for [`register`](Self::register).
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    #[deprecated = "does not ask that the descriptor stay open: use `AsyncFd::register_with_interest`"]
    pub fn try_with_interest(
        inner: T,
        interest: Interest,
    ) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
        let _ = interest;
        AsyncFd::watch(inner)
    }
}

/// Why a descriptor cannot be watched, and the value that it came in.
pub struct AsyncFdRegisterError<T> {
    inner: T,
    cause: io::Error,
}

/// tokio's old name for [`AsyncFdRegisterError`].
#[doc(hidden)]
#[deprecated = "renamed: use `AsyncFdRegisterError`"]
pub type AsyncFdTryNewError<T> = AsyncFdRegisterError<T>;

impl<T> AsyncFdRegisterError<T> {
    pub(super) fn new(inner: T, cause: io::Error) -> AsyncFdRegisterError<T> {
        AsyncFdRegisterError { inner, cause }
    }

    /// The value, and the error.
    pub fn into_parts(self) -> (T, io::Error) {
        (self.inner, self.cause)
    }
}

impl<T> fmt::Display for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<T> fmt::Debug for AsyncFdRegisterError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl<T> Error for AsyncFdRegisterError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

impl<T> From<AsyncFdRegisterError<T>> for io::Error {
    fn from(error: AsyncFdRegisterError<T>) -> io::Error {
        error.cause
    }
}
