//! What other threads may reach of a set.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::scene;
use crate::cell::{Notified, OwnedTasks, Schedule, TaskRef};
use crate::post::Pinned;

/// The scheduler of a set's tasks.
pub(super) struct LocalShared {
    /// All tasks that have not ended.
    pub(super) owned: OwnedTasks,
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    /// Tasks woken while the set was not polled.
    woken: VecDeque<Notified>,
    /// Whoever polled the set last; taken by whoever wakes it.
    waiter: Option<Waker>,
    is_closed: bool,
}

impl LocalShared {
    pub(super) fn new() -> LocalShared {
        LocalShared {
            owned: OwnedTasks::new(1),
            inbox: Mutex::default(),
        }
    }

    /// Has `waiter` woken when there is something to do from now on.
    pub(super) fn wait(&self, waiter: &Waker) {
        let mut inbox = self.inbox.lock();
        let is_known = inbox
            .waiter
            .as_ref()
            .is_some_and(|known| known.will_wake(waiter));
        if !is_known {
            let before = inbox.waiter.replace(waiter.clone());
            drop(inbox);
            drop(before);
        }
    }

    /// Wakes whoever polled the set last.
    pub(super) fn wake(&self) {
        let waiter = self.inbox.lock().waiter.take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Moves what is in the inbox behind what is in `queue`.
    pub(super) fn collect(&self, queue: &mut VecDeque<Notified>) {
        queue.append(&mut self.inbox.lock().woken);
    }

    /// Ends all tasks and takes no more.
    pub(super) fn close(&self) {
        self.owned.close(0);
        let closed = Inbox {
            is_closed: true,
            ..Inbox::default()
        };
        // What was in it is dropped after the lock.
        let ended = mem::replace(&mut *self.inbox.lock(), closed);
        drop(ended);
    }

    fn deliver(&self, task: Notified) {
        let mut inbox = self.inbox.lock();
        if inbox.is_closed {
            drop(inbox);
            drop(task);
            return;
        }
        inbox.woken.push_back(task);
        let waiter = inbox.waiter.take();
        drop(inbox);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

/// How a woken task gets to its set.
pub(super) enum Door {
    /// The set is polled on this thread.
    Here,
    There(Arc<LocalShared>),
}

impl Schedule for Arc<LocalShared> {
    type Door = Door;

    fn door(&self) -> Door {
        if scene::is_polled_here(self) {
            Door::Here
        } else {
            Door::There(Arc::clone(self))
        }
    }

    fn schedule(door: Door, task: Notified) {
        match door {
            Door::Here => scene::push_here(task),
            Door::There(shared) => shared.deliver(task),
        }
    }

    fn release(&self, task: &TaskRef) -> Option<TaskRef> {
        self.owned.remove(task)
    }
}

impl Pinned for LocalShared {
    fn sites(&self, task: u64) -> Vec<(&'static Location<'static>, usize)> {
        self.owned.sites(|id| id.get() != task)
    }
}

impl fmt::Debug for LocalShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalShared")
            .field("owned", &self.owned)
            .finish_non_exhaustive()
    }
}
