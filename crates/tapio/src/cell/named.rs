//! Tasks that have a name.

use super::layout::Schedule;
use super::raw::{Notified, TaskRef};
use crate::report::Unobserved;
use crate::task_id::{Id, NameGuard};

/// A scheduler that keeps its task's name for as long as there is anything of
/// the task: what is said of its result, when it is done, names it still.
///
/// Tasks without a name have their scheduler itself, and pay nothing.
#[derive(Debug)]
pub(crate) struct Named<S> {
    inner: S,
    _name: NameGuard,
}

impl<S> Named<S> {
    pub(crate) fn new(inner: S, id: Id, name: &str) -> Named<S> {
        Named {
            inner,
            _name: NameGuard::new(id, name),
        }
    }
}

impl<S: Schedule> Schedule for Named<S> {
    type Door = S::Door;

    fn door(&self) -> S::Door {
        self.inner.door()
    }

    fn schedule(door: S::Door, task: Notified) {
        S::schedule(door, task);
    }

    fn release(&self, task: &TaskRef) -> Option<TaskRef> {
        self.inner.release(task)
    }

    fn is_inherited(&self) -> bool {
        self.inner.is_inherited()
    }

    fn poll_panicked(&self) {
        self.inner.poll_panicked();
    }

    fn count_unobserved(&self, what: Unobserved) {
        self.inner.count_unobserved(what);
    }
}
