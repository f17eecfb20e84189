//! How a report names a task.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::task_id::{self, Id};

/// A task: its number, its name if it has one, and where it was spawned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The task's number.
    pub id: Id,
    /// What [`task::Builder::name`](crate::task::Builder::name) called it.
    pub name: Option<Arc<str>>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
}

impl TaskInfo {
    pub(crate) fn new(id: Id, spawned_at: &'static Location<'static>) -> TaskInfo {
        TaskInfo {
            id,
            name: task_id::name_of(id),
            spawned_at,
        }
    }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        write!(f, " spawned at {}", self.spawned_at)
    }
}
