//! Building, entering and ending a runtime.

mod builder;
mod handle;
mod id;
mod metrics;
#[expect(clippy::module_inception, reason = "the type that the module is about")]
mod runtime;
mod try_current;
mod unhandled_panic;

pub use tapio_driver::DriverKind;

pub use self::builder::Builder;
pub use self::handle::{EnterGuard, Handle};
pub use self::id::Id;
pub use self::metrics::RuntimeMetrics;
pub use self::runtime::Runtime;
pub use self::try_current::TryCurrentError;
pub use self::unhandled_panic::UnhandledPanic;

/// How a runtime runs its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// On the thread that blocks on it.
    CurrentThread,
    /// On threads of its own.
    MultiThread,
}

/// Whether an error says that the runtime behind a socket has been shut down.
#[must_use]
pub fn is_rt_shutdown_err(error: &std::io::Error) -> bool {
    tapio_driver::is_shut_down_error(error)
}
