//! The worker that this thread is.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ticket::Ticket;
use super::worker::Worker;

thread_local! {
    /// Not there any more while the thread is being torn down.
    static WORKER: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
}

/// Calls `f` with the worker that this thread is, if it is one.
#[inline]
pub(super) fn with_worker<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    let mut f = Some(f);
    let outcome = WORKER.try_with(|worker| {
        let f = f.take().expect("called once");
        match worker.try_borrow() {
            Ok(worker) => f(worker.as_deref()),
            Err(_) => f(None),
        }
    });
    match outcome {
        Ok(value) => value,
        Err(_) => (f.take().expect("not called"))(None),
    }
}

/// Has a worker that forks be without a seat in the child, so that it runs no
/// other task of its parent's when the one that forked gives way: it leaves its
/// loop, as one that was relieved does, and finds out whose child it is.
pub(super) fn leave_when_forked() {
    static IS_SET: AtomicBool = AtomicBool::new(false);
    // Relaxed: twice is as good as once.
    if !IS_SET.load(Ordering::Relaxed) && tapio_driver::at_fork(leave) {
        IS_SET.store(true, Ordering::Relaxed);
    }
}

extern "C" fn leave() {
    with_worker(|worker| {
        if let Some(worker) = worker {
            worker.slot().set_ticket(Ticket::NONE);
        }
    });
}

/// Makes this thread `worker` until the guard is dropped.
pub(super) fn set_worker(worker: Option<Rc<Worker>>) -> WorkerGuard {
    WorkerGuard {
        outer: WORKER.with(|slot| slot.replace(worker)),
    }
}

pub(super) struct WorkerGuard {
    outer: Option<Rc<Worker>>,
}

impl Drop for WorkerGuard {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let ended = WORKER.try_with(|slot| slot.replace(outer));
        drop(ended);
    }
}
