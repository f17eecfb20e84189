//! No tokio runtime beside ours: the feature `compat` is off.

use std::io;

/// Nothing.
#[derive(Debug)]
pub(crate) struct Compat;

/// Nothing entered.
pub(crate) struct Entered;

/// `future`, which has no budget of tokio's.
pub(crate) fn unbudgeted<F>(future: F) -> F {
    future
}

impl Compat {
    #[expect(clippy::unnecessary_wraps, reason = "the shape of the real one")]
    pub(crate) fn start() -> io::Result<Compat> {
        Ok(Compat)
    }

    pub(crate) fn enter(&self) -> Entered {
        Entered
    }

    #[expect(clippy::unused_self, reason = "the shape of the real one")]
    pub(crate) fn shut_down(&self) {}
}
