//! What other threads may reach of a set.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use tapio_driver::Process;
use tapio_driver::lock::Mutex;

use super::scene;
use crate::cell::{Notified, OwnedTasks, Schedule, TaskRef};
use crate::post::Pinned;
use crate::report::Unobserved;
use crate::runtime::Handle;

/// The scheduler of a set's tasks.
pub(super) struct LocalShared {
    /// In which it was made; its tasks stay there.
    pub(super) process: Process,
    /// All tasks that have not ended.
    pub(super) owned: OwnedTasks,
    inbox: Mutex<Inbox>,
    /// Whether a panic ends all tasks, and whether one has. Used on the set's
    /// own thread only.
    pub(super) ends_on_panic: AtomicBool,
    pub(super) has_panicked: AtomicBool,
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
            process: Process::current(),
            owned: OwnedTasks::new(1),
            inbox: Mutex::default(),
            ends_on_panic: AtomicBool::new(false),
            has_panicked: AtomicBool::new(false),
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
        if !self.process.is_current() {
            return drop(task);
        }
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
        if !self.process.is_current() {
            return None;
        }
        self.owned.remove(task)
    }

    fn is_inherited(&self) -> bool {
        !self.process.is_current()
    }

    /// On the set's thread, as every poll is.
    fn poll_panicked(&self) {
        // Relaxed, all: only that thread uses them.
        if self.ends_on_panic.load(Ordering::Relaxed)
            && !self.has_panicked.swap(true, Ordering::Relaxed)
        {
            self.owned.close(0);
        }
    }

    fn count_unobserved(&self, what: Unobserved) {
        if let Ok(handle) = Handle::try_current() {
            handle.shared.counters.count_unobserved(what);
        }
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
