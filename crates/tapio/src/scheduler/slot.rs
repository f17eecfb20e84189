//! What others may take from a worker without its help, and tell it.

#![expect(unsafe_code, reason = "the LIFO slot is an atomic pointer to a task")]

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use crossbeam_deque::{Steal, Stealer};

use super::ticket::Ticket;
use crate::cell::{Header, Notified};

/// The public side of a worker: its queue's stealer, its LIFO slot, and where
/// it works.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(super) stealer: Stealer<Notified>,
    lifo: AtomicPtr<Header>,
    /// The ticket with which it works; none once it was told to leave. A hint:
    /// whether a ticket is good is decided under the seat's lock.
    ticket: AtomicU64,
    /// It was found stuck, and nobody could take its seat.
    is_overdue: AtomicBool,
}

impl Slot {
    pub(super) fn new(stealer: Stealer<Notified>) -> Slot {
        Slot {
            stealer,
            lifo: AtomicPtr::new(ptr::null_mut()),
            ticket: AtomicU64::new(Ticket::NONE.to_word()),
            is_overdue: AtomicBool::new(false),
        }
    }

    /// The ticket with which the worker works, as far as it knows.
    #[inline]
    pub(super) fn ticket(&self) -> Ticket {
        // Relaxed: the seat's lock decides whether it is good still.
        Ticket::from_word(self.ticket.load(Ordering::Relaxed))
    }

    /// The worker works with `ticket` from now on. Only its own thread calls
    /// this.
    pub(super) fn set_ticket(&self, ticket: Ticket) {
        // Relaxed: as in `ticket`.
        self.ticket.store(ticket.to_word(), Ordering::Relaxed);
    }

    /// Tells the worker that it works with `ticket` no more; one that works
    /// with another by now is not meant.
    pub(super) fn relieve_of(&self, ticket: Ticket) {
        let none = Ticket::NONE.to_word();
        // Relaxed: a hint, as said above.
        let _ = self.ticket.compare_exchange(
            ticket.to_word(),
            none,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Has the worker look at its driver before it runs another task.
    pub(super) fn set_overdue(&self) {
        // Relaxed, here and below: a hint, which may come a task too late.
        self.is_overdue.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked for since the last time. Only its own thread
    /// calls this.
    #[inline]
    pub(super) fn take_overdue(&self) -> bool {
        let is_overdue = self.is_overdue.load(Ordering::Relaxed);
        if is_overdue {
            self.is_overdue.store(false, Ordering::Relaxed);
        }
        is_overdue
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

    /// Whether anything is queued, as whoever asks may know it.
    pub(super) fn has_any(&self) -> bool {
        self.has_lifo() || !self.stealer.is_empty()
    }

    #[must_use]
    pub(super) fn take_lifo(&self) -> Option<Notified> {
        // A plain look first: the slot is empty most of the time, and only
        // the worker itself fills it, so it misses nothing of its own; the
        // guard, which looks as well, looks again.
        if self.lifo.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // AcqRel: as in `put_lifo`.
        Slot::owned(self.lifo.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    /// Takes one of the queued tasks, the LIFO slot's first.
    #[must_use]
    pub(super) fn take_any(&self) -> Option<Notified> {
        self.take_lifo().or_else(|| {
            loop {
                match self.stealer.steal() {
                    Steal::Success(task) => return Some(task),
                    Steal::Retry => {}
                    Steal::Empty => return None,
                }
            }
        })
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
