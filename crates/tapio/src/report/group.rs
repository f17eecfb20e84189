//! Failures in a group that come out nowhere else.

use std::fmt;
use std::panic::Location;

use super::TaskInfo;

/// A [`TaskGroup`](crate::task::TaskGroup) had failed, and its scope was
/// dropped, or its body panicked, before anybody was told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupFailuresLost {
    /// Where the group's scope is.
    pub group_at: &'static Location<'static>,
    /// Who failed, `None` for the group as a whole, and how.
    pub failures: Vec<(Option<TaskInfo>, String)>,
}

impl GroupFailuresLost {
    pub(crate) fn new(group_at: &'static Location<'static>) -> GroupFailuresLost {
        GroupFailuresLost {
            group_at,
            failures: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, task: Option<TaskInfo>, how: String) {
        self.failures.push((task, how));
    }
}

impl fmt::Display for GroupFailuresLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the task group at {} failed, and nobody was told:",
            self.group_at
        )?;
        for (task, how) in &self.failures {
            match task {
                Some(task) => writeln!(f, "  {task}: {how}")?,
                None => writeln!(f, "  the group: {how}")?,
            }
        }
        write!(
            f,
            "  help: await a scope to its end; where it may be dropped, handle errors in the children"
        )
    }
}
