//! Why a group failed.

use std::error::Error;
use std::fmt;
use std::panic::{Location, resume_unwind};
use std::time::Duration;

use crate::report::{GroupFailuresLost, Report, TaskInfo};
use crate::task::JoinError;

/// A group failed: what happened first, and what children did afterwards,
/// while they were being cancelled.
///
/// It can be made a `Box<dyn Error>` also when `E` is one, which is why it
/// names `E` in its text and not as its source.
pub struct GroupError<E> {
    /// Boxed, so that a result is hardly larger than its value.
    told: Box<Told<E>>,
}

struct Told<E> {
    group_at: &'static Location<'static>,
    first: Failure<E>,
    later: Vec<Failure<E>>,
}

/// One thing that went wrong in a group.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<E> {
    /// A child returned an error, or the body did.
    #[non_exhaustive]
    Failed {
        /// What was returned.
        error: E,
        /// The child; `None` for the body.
        task: Option<TaskInfo>,
    },
    /// A child panicked.
    #[non_exhaustive]
    Panicked {
        /// The child.
        task: TaskInfo,
        /// Its panic, with the payload.
        panic: JoinError,
    },
    /// A child was cancelled, and not by its group: its runtime ended.
    #[non_exhaustive]
    Cancelled {
        /// The child.
        task: TaskInfo,
    },
    /// The group's deadline passed.
    #[non_exhaustive]
    TimedOut {
        /// How long after the group's start.
        after: Duration,
        /// The children that had not ended: where they were spawned, and how
        /// many from there.
        left: Vec<(&'static Location<'static>, usize)>,
    },
}

impl<E> GroupError<E> {
    pub(super) fn new(
        group_at: &'static Location<'static>,
        first: Failure<E>,
        later: Vec<Failure<E>>,
    ) -> GroupError<E> {
        GroupError {
            told: Box::new(Told {
                group_at,
                first,
                later,
            }),
        }
    }

    /// What happened first.
    #[must_use]
    pub fn first(&self) -> &Failure<E> {
        &self.told.first
    }

    /// What children did afterwards that was not simply ending: errors and
    /// panics, in the order of their ends.
    #[must_use]
    pub fn later(&self) -> &[Failure<E>] {
        &self.told.later
    }

    /// What happened first, and what later.
    #[must_use]
    pub fn into_parts(self) -> (Failure<E>, Vec<Failure<E>>) {
        (self.told.first, self.told.later)
    }

    /// The error of the child or the body that failed first.
    ///
    /// # Errors
    /// The group's error itself, when something else happened first.
    pub fn into_error(self) -> Result<E, GroupError<E>> {
        let Told {
            group_at,
            first,
            later,
        } = *self.told;
        match first {
            Failure::Failed { error, .. } => Ok(error),
            first => Err(GroupError::new(group_at, first, later)),
        }
    }

    /// Whether the deadline passed.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        matches!(self.first(), Failure::TimedOut { .. })
    }

    /// Whether a child panicked first.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.first(), Failure::Panicked { .. })
    }

    /// Goes on with the child's panic, if a child panicked first; otherwise
    /// gives the error back.
    ///
    /// # Panics
    /// With what the child panicked with.
    ///
    /// # Examples
    /// ```should_panic
    /// # use tapio::task::{GroupError, TaskGroup};
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// let result = TaskGroup::scope(async |group: TaskGroup<(), String>| {
    ///     group.spawn(async { panic!("oh") });
    ///     Ok(group.all().await)
    /// });
    /// let result = result.await.map_err(GroupError::resume_panic);
    /// # drop(result);
    /// # });
    /// ```
    #[must_use]
    pub fn resume_panic(self) -> GroupError<E> {
        let Told {
            group_at,
            first,
            later,
        } = *self.told;
        match first {
            Failure::Panicked { panic, .. } => resume_unwind(panic.into_panic()),
            first => GroupError::new(group_at, first, later),
        }
    }
}

/// Says of failures that they come out nowhere else.
pub(super) fn report_lost<E>(group_at: &'static Location<'static>, failures: Vec<Failure<E>>) {
    if failures.is_empty() {
        return;
    }
    let mut lost = GroupFailuresLost::new(group_at);
    for failure in failures {
        match failure {
            Failure::Failed { task, .. } => lost.add(task, "returned an error".into()),
            Failure::Panicked { task, panic } => lost.add(Some(task), panic.to_string()),
            Failure::Cancelled { task } => lost.add(Some(task), "was cancelled".into()),
            Failure::TimedOut { .. } => lost.add(None, "timed out".into()),
        }
    }
    Report::GroupFailuresLost(lost).deliver();
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task group at {}: {}", self.told.group_at, self.first())?;
        for failure in self.later() {
            write!(f, "\n  afterwards: {failure}")?;
        }
        match self.first() {
            Failure::TimedOut { .. } => {
                write!(
                    f,
                    "\n  help: see what those wait for, or give the group longer"
                )
            }
            Failure::Cancelled { .. } => {
                write!(f, "\n  help: end the groups before their runtime")
            }
            Failure::Failed { .. } | Failure::Panicked { .. } => Ok(()),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed {
                error,
                task: Some(task),
            } => write!(f, "{task} failed: {error}"),
            Failure::Failed { error, task: None } => write!(f, "its body failed: {error}"),
            Failure::Panicked { task, panic } => {
                write!(f, "{panic}, spawned at {}", task.spawned_at)
            }
            Failure::Cancelled { task } => write!(f, "{task} was cancelled, as its runtime ended"),
            Failure::TimedOut { after, left } => {
                let count: usize = left.iter().map(|(_, count)| count).sum();
                let children = if count == 1 { "child" } else { "children" };
                let ms = after.as_millis();
                write!(f, "timed out after {ms} ms with {count} {children} left")?;
                for (index, (at, count)) in left.iter().enumerate() {
                    let separator = if index == 0 { ":" } else { "," };
                    write!(f, "{separator} {count} spawned at {at}")?;
                }
                Ok(())
            }
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupError")
            .field("group_at", &format_args!("{}", self.told.group_at))
            .field("first", &self.told.first)
            .field("later", &self.told.later)
            .finish()
    }
}

impl<E: fmt::Debug + fmt::Display> Error for GroupError<E> {}
