//! A panic or an error that nobody looked at.

use std::fmt;

use super::TaskInfo;
use super::sites;
use super::words::Nth;

/// A task panicked, and its handle was dropped without anybody having looked
/// at its result.
///
/// Each is reported, once: when the task ends, or when the handle is dropped,
/// whichever is later.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnobservedPanic {
    /// The task, or the blocking call.
    pub task: TaskInfo,
    /// What it panicked with, if that was text.
    pub message: Option<String>,
    /// Where it panicked, as `file:line:column`. Known only in programs that
    /// called [`note_panic_places`](crate::guard::note_panic_places): the
    /// place is told to the panic hook and to nobody else, and the default
    /// hook has printed it to standard error by the time of this report.
    pub place: Option<String>,
}

/// A task ended in an error, or in a `Result` that cannot be looked into, and
/// its handle was dropped without anybody having looked.
///
/// [The table](crate::guard#errors-that-nobody-looks-at) says which errors are
/// seen, and how often they are reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnobservedError {
    /// The task, or the blocking call.
    pub task: TaskInfo,
    /// What the error says. `None` when the type is not one that can be
    /// looked into: then the result may as well have been a success.
    pub error: Option<String>,
    /// The type of the result, when it cannot be looked into.
    pub type_name: Option<&'static str>,
    /// How many errors from the same spawn site have been lost, with this
    /// one. Zero for those of
    /// [`report_errors`](crate::task::JoinHandle::report_errors), which are
    /// not lost.
    pub count: u64,
}

/// What a runtime counts of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unobserved {
    Panic,
    Error,
}

/// So many errors of one spawn site are reported one by one; after that those
/// whose number is a power of two.
const SINGLE_MAX: u64 = 8;

impl UnobservedPanic {
    pub(crate) fn new(task: TaskInfo, message: Option<String>, place: Option<String>) -> Self {
        UnobservedPanic {
            task,
            message,
            place,
        }
    }
}

impl UnobservedError {
    /// An error that was lost. Counts it at its spawn site.
    pub(crate) fn lost(task: TaskInfo, error: String) -> Self {
        UnobservedError {
            count: sites::count(task.spawned_at),
            task,
            error: Some(error),
            type_name: None,
        }
    }

    /// An error that the user wants reported.
    pub(crate) fn asked_for(task: TaskInfo, error: String) -> Self {
        UnobservedError {
            task,
            error: Some(error),
            type_name: None,
            count: 0,
        }
    }

    /// A result that cannot be looked into; `None` when that was said already
    /// of its spawn site.
    pub(crate) fn of_unknown_type(task: TaskInfo, type_name: &'static str) -> Option<Self> {
        sites::is_new(task.spawned_at).then_some(UnobservedError {
            task,
            error: None,
            type_name: Some(type_name),
            count: 0,
        })
    }

    /// Whether it is one of those that are reported.
    pub(crate) fn is_due(&self) -> bool {
        self.count <= SINGLE_MAX || self.count.is_power_of_two()
    }
}

impl fmt::Display for UnobservedPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panic: {} panicked", self.task)?;
        if let Some(place) = &self.place {
            write!(f, " at {place}")?;
        }
        if let Some(message) = &self.message {
            write!(f, " with {message:?}")?;
        }
        write!(
            f,
            ", and nobody looked at its handle\n  help: await the JoinHandle or keep it in a \
             JoinSet; runtime::Builder::unhandled_panic can make a panic end the runtime"
        )
    }
}

impl fmt::Display for UnobservedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, self.type_name) {
            (Some(error), _) if self.count == 0 => {
                // Its handling is that it is reported: there is nothing to do.
                return write!(f, "error: {} ended in an error: {error}", self.task);
            }
            (Some(error), _) => {
                write!(
                    f,
                    "error: {} ended in an error that nobody looked at: {error}",
                    self.task
                )?;
                if self.count > SINGLE_MAX {
                    write!(
                        f,
                        "\n  the {} from there; not every one is reported any more",
                        Nth(self.count)
                    )?;
                }
            }
            (None, name) => write!(
                f,
                "error: {} returned a {} that nobody looked at, so its errors are lost; said \
                 once for each place",
                self.task,
                name.unwrap_or("Result"),
            )?,
        }
        f.write_str(
            "\n  help: look at the result of the task's handle; or detach the task with \
             JoinHandle::report_errors; or handle its errors inside of it and return nothing",
        )
    }
}
