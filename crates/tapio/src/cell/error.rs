//! Why a task gave no result.

use std::any::Any;
use std::fmt;
use std::io;

use crate::report;
use crate::task_id::Id;

/// A task was aborted or panicked.
pub struct JoinError {
    id: Id,
    cause: Cause,
}

enum Cause {
    Cancelled,
    /// Boxed, so that a task's result is hardly larger than its output.
    Panic(Box<SyncPayload>),
}

/// A panic's payload, which may be not `Sync`: it is only ever given out by
/// value, except for the message, which is copied out beforehand.
struct SyncPayload {
    message: Option<String>,
    /// Whether people have been told of it.
    is_observed: bool,
    /// Where it was, if that is known.
    place: Option<String>,
    payload: tapio_driver::lock::Mutex<Box<dyn Any + Send + 'static>>,
}

impl JoinError {
    pub(crate) fn cancelled(id: Id) -> JoinError {
        JoinError {
            id,
            cause: Cause::Cancelled,
        }
    }

    pub(crate) fn panic(id: Id, payload: Box<dyn Any + Send + 'static>) -> JoinError {
        let (payload, is_observed) = report::take_observed(payload);
        JoinError {
            id,
            cause: Cause::Panic(Box::new(SyncPayload {
                is_observed,
                message: report::message_of(&*payload),
                place: report::take_panic_place(&*payload),
                payload: tapio_driver::lock::Mutex::new(payload),
            })),
        }
    }

    /// Whether the task was aborted, or its runtime shut down.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }

    /// Whether the task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panic(_))
    }

    /// What the task panicked with, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    /// When the task did not panic; see [`JoinError::try_into_panic`].
    #[must_use]
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic()
            .expect("`JoinError` reason is not a panic.")
    }

    /// What the task panicked with, or the error itself when it did not panic.
    ///
    /// # Errors
    /// The error itself, when the task was aborted.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, JoinError> {
        match self.cause {
            Cause::Panic(held) => Ok(held.payload.into_inner()),
            Cause::Cancelled => Err(self),
        }
    }

    /// Whether it is a panic that people must be told of.
    pub(super) fn is_news(&self) -> bool {
        match &self.cause {
            Cause::Panic(held) => !held.is_observed,
            Cause::Cancelled => false,
        }
    }

    /// What the panic said, if it was one and said something.
    pub(super) fn message(&self) -> Option<&str> {
        match &self.cause {
            Cause::Panic(held) => held.message.as_deref(),
            Cause::Cancelled => None,
        }
    }

    /// Where the panic was, if it was one and that is known.
    pub(super) fn place(&self) -> Option<&str> {
        match &self.cause {
            Cause::Panic(held) => held.place.as_deref(),
            Cause::Cancelled => None,
        }
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled => write!(f, "task {} was cancelled", self.id),
            Cause::Panic(held) => match &held.message {
                Some(message) => write!(f, "task {} panicked with message {message:?}", self.id),
                None => write!(f, "task {} panicked", self.id),
            },
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled => write!(f, "JoinError::Cancelled({:?})", self.id),
            Cause::Panic(held) => match &held.message {
                Some(message) => write!(f, "JoinError::Panic({:?}, {message:?}, ...)", self.id),
                None => write!(f, "JoinError::Panic({:?}, ...)", self.id),
            },
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        io::Error::other(match error.cause {
            Cause::Cancelled => "task was cancelled",
            Cause::Panic(_) => "task panicked",
        })
    }
}
