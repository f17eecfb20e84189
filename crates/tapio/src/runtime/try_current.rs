//! Why a thread is in no runtime.

use std::fmt;

use tapio_driver::Inherited;

const NO_RUNTIME: &str = "there is no reactor running, must be called from the context of a Tokio 1.x runtime (here: of a tapio runtime)";
pub(super) const TORN_DOWN: &str = "The Tokio context thread-local variable has been destroyed.";

/// No runtime was entered on this thread.
pub struct TryCurrentError(pub(super) Missing);

#[derive(Clone, Copy)]
pub(super) enum Missing {
    Context,
    /// The one that was entered is the parent's.
    Inherited,
    TornDown,
}

impl TryCurrentError {
    /// Whether no runtime was entered.
    #[must_use]
    pub fn is_missing_context(&self) -> bool {
        !self.is_thread_local_destroyed()
    }

    /// Whether the thread is being torn down.
    #[must_use]
    pub fn is_thread_local_destroyed(&self) -> bool {
        matches!(self.0, Missing::TornDown)
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Missing::Context => f.write_str(NO_RUNTIME),
            Missing::Inherited => Inherited("no runtime was entered in this process").fmt(f),
            Missing::TornDown => f.write_str(TORN_DOWN),
        }
    }
}

impl fmt::Debug for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_thread_local_destroyed() {
            "ThreadLocalDestroyed"
        } else {
            "NoContext"
        };
        f.debug_struct("TryCurrentError")
            .field("kind", &kind)
            .finish()
    }
}

impl std::error::Error for TryCurrentError {}
