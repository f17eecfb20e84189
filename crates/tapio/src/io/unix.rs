//! Waiting on descriptors that the runtime has no type for.

pub use super::async_fd::AsyncFd;
pub use super::async_fd_guard::{AsyncFdReadyGuard, AsyncFdReadyMutGuard, TryIoError};
pub use super::async_fd_register::AsyncFdRegisterError;
#[expect(deprecated, reason = "tokio's old name for the same error")]
#[doc(hidden)]
pub use super::async_fd_register::AsyncFdTryNewError;
