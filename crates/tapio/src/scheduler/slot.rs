//! What others may take from a worker without its help.

#![expect(unsafe_code, reason = "the LIFO slot is an atomic pointer to a task")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crossbeam_deque::Stealer;

use crate::cell::{Header, Notified};

/// The public side of a worker: its queue's stealer, and its LIFO slot.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(super) stealer: Stealer<Notified>,
    lifo: AtomicPtr<Header>,
}

impl Slot {
    pub(super) fn new(stealer: Stealer<Notified>) -> Slot {
        Slot {
            stealer,
            lifo: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Puts a task into the LIFO slot; gives back the one that was there.
    #[must_use]
    pub(super) fn put_lifo(&self, task: Notified) -> Option<Notified> {
        let new = task.into_raw().as_ptr();
        // AcqRel: the release publishes the task to whoever takes it, the
        // acquire is the other side of that for the one we get.
        let old = self.lifo.swap(new, Ordering::AcqRel);
        Slot::owned(old)
    }

    /// Whether the LIFO slot is filled, as its own worker sees it.
    pub(super) fn has_lifo(&self) -> bool {
        !self.lifo.load(Ordering::Relaxed).is_null()
    }

    #[must_use]
    pub(super) fn take_lifo(&self) -> Option<Notified> {
        // A plain look first: the slot is empty most of the time, and only
        // the worker itself fills it, so it misses nothing of its own.
        if self.lifo.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // AcqRel: as in `put_lifo`.
        Slot::owned(self.lifo.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    fn owned(raw: *mut Header) -> Option<Notified> {
        // SAFETY: every pointer in the slot came from `Notified::into_raw`
        // and was taken out by an atomic swap, so it is ours alone.
        ptr::NonNull::new(raw).map(|raw| unsafe { Notified::from_raw(raw) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.take_lifo());
    }
}
