//! What tells tasks apart: a number, and for those who want it a name.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tapio_driver::PerProcess;
use tapio_driver::lock::Mutex;

use crate::context;

/// A task's number, different from that of every other task that is alive.
///
/// Numbers are given in no particular order and are not those of tokio tasks
/// in the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(NonZeroU64);

impl Id {
    pub(crate) fn next() -> Id {
        // Threads take numbers by the block, so that spawning on many workers
        // does not pass one cache line around.
        const BLOCK: u64 = 256;
        static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);
        let id = context::next_id(|| {
            // Relaxed: only that no two threads get the same block matters.
            let start = NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed) + 1;
            start..start + BLOCK
        });
        Id(NonZeroU64::new(id).expect("blocks start at one and 2^64 tasks are never spawned"))
    }

    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }

    pub(crate) fn from_raw(id: u64) -> Option<Id> {
        NonZeroU64::new(id).map(Id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of the task that runs on this thread.
///
/// # Panics
/// When called outside of a task, as the future given to `block_on` is.
#[must_use]
#[track_caller]
pub fn id() -> Id {
    try_id().expect("no task runs on this thread, so there is no task id")
}

/// The id of the task that runs on this thread, or `None` outside of a task.
#[must_use]
pub fn try_id() -> Option<Id> {
    Id::from_raw(context::current_task())
}

/// The names of the tasks that have one, so that the others pay nothing.
static NAMES: PerProcess<Mutex<HashMap<Id, Arc<str>>>> = PerProcess::new(|_| Mutex::default());

/// What a task was called when it was spawned, as long as it lives.
pub(crate) fn name_of(id: Id) -> Option<Arc<str>> {
    NAMES.lock().get(&id).cloned()
}

/// Keeps a task's name until it is dropped; part of the named task's future.
#[derive(Debug)]
pub(crate) struct NameGuard(Id);

impl NameGuard {
    pub(crate) fn new(id: Id, name: &str) -> NameGuard {
        NAMES.lock().insert(id, name.into());
        NameGuard(id)
    }
}

impl Drop for NameGuard {
    fn drop(&mut self) {
        NAMES.lock().remove(&self.0);
    }
}
