//! Which handles of a set were woken.
//!
//! Each handle has a waker of its own, which puts it on the list and wakes
//! whoever waits for the set. So one completion costs one push and one pop,
//! however many handles there are.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use tapio_driver::lock::Mutex;

/// The list, in the order of waking.
#[derive(Default)]
pub(super) struct WokenList(Mutex<State>);

#[derive(Default)]
struct State {
    woken: VecDeque<Arc<HandleWaker>>,
    /// Whoever waits for the set.
    waiter: Option<Waker>,
}

/// The waker of one handle.
pub(super) struct HandleWaker {
    /// Where the handle is in its set. Another may be there by now, so the
    /// set compares wakers before it believes it.
    pub(super) key: usize,
    is_listed: AtomicBool,
    /// Weak: the list holds wakers.
    list: Weak<WokenList>,
}

impl WokenList {
    pub(super) fn waker_for(self: &Arc<Self>, key: usize) -> Arc<HandleWaker> {
        Arc::new(HandleWaker {
            key,
            is_listed: AtomicBool::new(false),
            list: Arc::downgrade(self),
        })
    }

    /// The handle that was woken first.
    pub(super) fn pop(&self) -> Option<Arc<HandleWaker>> {
        let woken = self.0.lock().woken.pop_front()?;
        woken.unlist();
        Some(woken)
    }

    /// As `pop`; when there is none, `waiter` is woken when there is.
    pub(super) fn pop_or_wait(&self, waiter: &Waker) -> Option<Arc<HandleWaker>> {
        let mut state = self.0.lock();
        if let Some(woken) = state.woken.pop_front() {
            drop(state);
            woken.unlist();
            return Some(woken);
        }
        let is_known = state
            .waiter
            .as_ref()
            .is_some_and(|known| known.will_wake(waiter));
        if !is_known {
            // Wakers are foreign code: cloned and dropped outside the lock
            // where that is possible, and dropping the old one is.
            let before = state.waiter.replace(waiter.clone());
            drop(state);
            drop(before);
        }
        None
    }
}

impl HandleWaker {
    fn unlist(&self) {
        // AcqRel: acquires what the waker's caller did before it woke; the
        // release has a later wake, which reads `false`, list it anew.
        self.is_listed.swap(false, Ordering::AcqRel);
    }
}

impl Wake for HandleWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: pairs with the swap in `unlist`, in both directions.
        if self.is_listed.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(list) = self.list.upgrade() else {
            return;
        };
        let mut state = list.0.lock();
        state.woken.push_back(Arc::clone(self));
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl fmt::Debug for WokenList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WokenList")
            .field("woken", &self.0.lock().woken.len())
            .finish()
    }
}
