//! Waiting on descriptors that the runtime has no type for.

#[expect(deprecated, reason = "tokio's old name for the same error")]
#[doc(hidden)]
pub use super::async_fd::AsyncFdTryNewError;
pub use super::async_fd::{AsyncFd, AsyncFdRegisterError};
pub use super::async_fd_guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard, TryIoError};
