//! A callback that panicked.

use std::any::Any;
use std::fmt;
use std::panic::Location;

/// A function that was to be told of a result, or that the runtime calls along
/// its threads' way (`Builder::on_thread_start`), panicked. The panic went no
/// further: whoever called it knows nothing of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallbackPanic {
    /// What called it, as `JoinHandle::on_complete`.
    pub called_by: &'static str,
    /// Where the callback was given.
    pub given_at: &'static Location<'static>,
    /// What it panicked with, if that was text.
    pub message: Option<String>,
}

impl CallbackPanic {
    pub(crate) fn new(
        called_by: &'static str,
        given_at: &'static Location<'static>,
        payload: &(dyn Any + Send),
    ) -> CallbackPanic {
        CallbackPanic {
            called_by,
            given_at,
            message: message_of(payload),
        }
    }
}

/// The text of a panic, if it has one.
fn message_of(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
    })
}

impl fmt::Display for CallbackPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the callback given to {} at {} panicked",
            self.called_by, self.given_at
        )?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        write!(
            f,
            "\n  help: nobody is there to catch what a callback throws; handle it inside, or await instead"
        )
    }
}
