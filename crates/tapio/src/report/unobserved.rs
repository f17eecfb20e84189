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

/// A task ended in an error, and its handle was dropped without anybody having
/// looked.
///
/// [The table](crate::guard#errors-that-nobody-looks-at) says which errors are
/// seen, and how often they are reported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnobservedError {
    /// The task, or the blocking call.
    pub task: TaskInfo,
    /// What the error says.
    pub error: String,
    /// How many errors from the same spawn site have been lost, with this
    /// one. Zero for those of
    /// [`report_errors`](crate::task::JoinHandle::report_errors), which are
    /// not lost.
    pub count: u64,
}

/// A task returned a `Result` of a type that cannot be looked into, and its
/// handle was dropped without anybody having looked: an error would be lost
/// there, though this may have been a success.
///
/// Reported once for each spawn site; in the log at the level of information.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnreadResult {
    /// The task, or the blocking call.
    pub task: TaskInfo,
    /// The type of the result.
    pub type_name: &'static str,
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
            error,
        }
    }

    /// An error that the user wants reported.
    pub(crate) fn asked_for(task: TaskInfo, error: String) -> Self {
        UnobservedError {
            task,
            error,
            count: 0,
        }
    }

    /// Whether it is one of those that are reported.
    pub(crate) fn is_due(&self) -> bool {
        self.count <= SINGLE_MAX || self.count.is_power_of_two()
    }
}

impl UnreadResult {
    /// `None` when that was said already of its spawn site.
    pub(crate) fn new(task: TaskInfo, type_name: &'static str) -> Option<UnreadResult> {
        sites::is_new(task.spawned_at).then_some(UnreadResult { task, type_name })
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
        let UnobservedError { task, error, count } = self;
        if *count == 0 {
            // Its handling is that it is reported: there is nothing to do.
            return write!(f, "error: {task} ended in an error: {error}");
        }
        write!(
            f,
            "error: {task} ended in an error that nobody looked at: {error}"
        )?;
        if *count > SINGLE_MAX {
            write!(
                f,
                "\n  the {} from there; not every one is reported any more",
                Nth(*count)
            )?;
        }
        f.write_str(HELP)
    }
}

impl fmt::Display for UnreadResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unread result: {} returned a {}, which nobody looked at: whether it was an error is \
             unknown; said once for each place{HELP}",
            self.task, self.type_name,
        )
    }
}

const HELP: &str = "\n  help: look at the result of the task's handle; or detach the task with \
     JoinHandle::report_errors; or handle its errors inside of it and return nothing";
