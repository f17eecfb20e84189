//! The scheduler of tasks that are calls.

use std::sync::Arc;

use tapio_driver::Process;

use crate::cell::{Notified, Schedule, TaskRef};
use crate::guard::Counters;
use crate::report::Unobserved;

/// Blocking tasks are queued once and never woken.
#[derive(Debug)]
pub(crate) struct NoSchedule {
    counters: Option<Arc<Counters>>,
    process: Process,
}

impl NoSchedule {
    /// For a call that comes from a runtime with these counters, or from none.
    pub(crate) fn new(counters: Option<Arc<Counters>>) -> NoSchedule {
        NoSchedule {
            counters,
            process: Process::current(),
        }
    }
}

impl Schedule for NoSchedule {
    type Door = ();

    fn door(&self) {}

    fn schedule((): (), task: Notified) {
        // Only an abort of a task that waits in line comes here; its
        // notification is in the queue already, so this cannot be another.
        drop(task);
    }

    fn release(&self, _: &TaskRef) -> Option<TaskRef> {
        None
    }

    fn is_inherited(&self) -> bool {
        !self.process.is_current()
    }

    fn count_unobserved(&self, what: Unobserved) {
        if let Some(counters) = &self.counters {
            counters.count_unobserved(what);
        }
    }
}
