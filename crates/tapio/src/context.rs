//! What a thread knows of where it is: the task it runs and its budget,
//! whether it drives futures.
//!
//! These cells need no destructor, so they are there as long as the thread
//! is. What owns something is elsewhere: the worker that a thread is in
//! `scheduler::here`, the runtime that it entered in `runtime::Handle`.

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    static HOT: Hot = const { Hot::new() };
}

/// What is left of a poll's budget; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget(pub(crate) Option<u8>);

impl Budget {
    /// Outside of tasks, and inside `unconstrained`.
    pub(crate) const UNLIMITED: Budget = Budget(None);
}

struct Hot {
    /// The id of the running task; zero outside of tasks.
    task: Cell<u64>,
    budget: Cell<Budget>,
    /// Task ids taken by this thread and not given out yet.
    id_next: Cell<u64>,
    id_end: Cell<u64>,
    entered: Cell<Entered>,
}

/// Whether this thread is inside a `block_on` or is a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// Neither: it may block.
    Outside,
    /// It drives futures: blocking it is a mistake.
    Inside,
    /// As `Inside`, and nobody could take over what it drives: tasks of a
    /// `LocalSet` or of a `current_thread` runtime.
    Pinned,
}

impl Hot {
    const fn new() -> Hot {
        Hot {
            task: Cell::new(0),
            budget: Cell::new(Budget::UNLIMITED),
            id_next: Cell::new(0),
            id_end: Cell::new(0),
            entered: Cell::new(Entered::Outside),
        }
    }
}

/// One fresh task id; `refill` takes a block of them.
#[inline]
pub(crate) fn next_id(refill: impl FnOnce() -> Range<u64>) -> u64 {
    HOT.with(|hot| {
        if hot.id_next.get() == hot.id_end.get() {
            let block = refill();
            hot.id_next.set(block.start);
            hot.id_end.set(block.end);
        }
        let id = hot.id_next.get();
        hot.id_next.set(id + 1);
        id
    })
}

/// A number that this thread keeps as long as it lives.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: only a rough spread over seats hangs on it.
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

/// The number of the running task; zero outside of tasks.
pub(crate) fn current_task() -> u64 {
    HOT.with(|hot| hot.task.get())
}

/// Marks this thread as running a task until the guard is dropped.
#[inline]
pub(crate) fn enter_task(id: u64) -> TaskGuard {
    TaskGuard {
        outer: HOT.with(|hot| hot.task.replace(id)),
    }
}

pub(crate) struct TaskGuard {
    outer: u64,
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        HOT.with(|hot| hot.task.set(self.outer));
    }
}

#[inline]
pub(crate) fn with_budget<R>(f: impl FnOnce(&Cell<Budget>) -> R) -> R {
    HOT.with(|hot| f(&hot.budget))
}

pub(crate) fn entered() -> Entered {
    HOT.with(|hot| hot.entered.get())
}

/// Changes whether this thread drives futures until the guard is dropped.
pub(crate) fn set_entered(entered: Entered) -> EnteredGuard {
    EnteredGuard {
        outer: HOT.with(|hot| hot.entered.replace(entered)),
    }
}

/// Marks what this thread drives as pinned to it until the guard is dropped;
/// a thread that drives nothing of ours may block all the same.
pub(crate) fn set_pinned() -> EnteredGuard {
    set_entered(match entered() {
        Entered::Outside => Entered::Outside,
        Entered::Inside | Entered::Pinned => Entered::Pinned,
    })
}

pub(crate) struct EnteredGuard {
    outer: Entered,
}

impl Drop for EnteredGuard {
    fn drop(&mut self) {
        HOT.with(|hot| hot.entered.set(self.outer));
    }
}
