//! A place at which work arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use std::task::Waker;

use crossbeam_queue::SegQueue;
use parking_lot::Mutex;
use tapio_driver::{Driver, Limit, Remote, Wakes};

use super::inbox::Inbox;
use super::slot::Slot;
use super::ticket::Ticket;
use crate::wheel::Wheel;

/// An inbox, a timer wheel and a driver.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(super) inbox: Inbox,
    /// Wakers that are not tasks' of ours: foreign code, each woken by itself
    /// so that one that blocks keeps none of the others.
    pub(super) foreign: SegQueue<Waker>,
    wheel: Mutex<Wheel>,
    /// Whether the wheel may hold a timer: spares an idle wheel's lock and
    /// the clock.
    has_timers: AtomicBool,
    /// Held while its worker parks, and never while a task runs.
    place: Mutex<Place>,
    /// Whoever sat down here last, to be told when somebody else does.
    sitting: Mutex<Option<Arc<Slot>>>,
    remote: Arc<dyn Remote>,
}

/// The driver, and who may use it.
#[derive(Debug)]
struct Place {
    driver: Box<dyn Driver>,
    holder: Ticket,
}

impl Seat {
    /// `start` is where the wheels of all seats begin, so that a deadline is
    /// the same tick on each.
    pub(super) fn new(index: usize, driver: Box<dyn Driver>, start: Instant) -> Seat {
        let remote = driver.remote();
        Seat {
            inbox: Inbox::default(),
            foreign: SegQueue::new(),
            wheel: Mutex::new(Wheel::new(start)),
            has_timers: AtomicBool::new(false),
            place: Mutex::new(Place {
                driver,
                holder: Ticket::first(index),
            }),
            sitting: Mutex::new(None),
            remote,
        }
    }

    pub(crate) fn remote(&self) -> &Arc<dyn Remote> {
        &self.remote
    }

    /// The calling thread works here from now on, and whoever did before has
    /// been relieved. Waits for a park that is under way.
    pub(super) fn occupy(&self) -> Ticket {
        let mut place = self.place.lock();
        place.holder = place.holder.next();
        let ticket = place.holder;
        drop(place);
        // Whoever held the seat and sets a timer now either did so before
        // this, and we see it when we park, or sees after it that it was
        // relieved, and unparks us (`Shared::with_wheel`).
        drop(self.wheel.lock());
        ticket
    }

    pub(super) fn set_sitting(&self, slot: &Arc<Slot>) {
        *self.sitting.lock() = Some(Arc::clone(slot));
    }

    /// Has whoever sits here leave at the next task boundary, parked or not.
    pub(super) fn ask_to_leave(&self) {
        if let Some(slot) = &*self.sitting.lock() {
            slot.relieve_of(slot.ticket());
        }
        self.remote.unpark();
    }

    /// Takes the seat from the holder of `ticket`; `false` when that is not
    /// its holder any more, or parks at this moment.
    pub(super) fn vacate(&self, ticket: Ticket) -> bool {
        // Only a holder that parks or looks at its driver, or whoever takes
        // its place, has the lock: in neither case is there anything to take.
        let Some(mut place) = self.place.try_lock() else {
            return false;
        };
        let is_holder = place.holder == ticket;
        if is_holder {
            place.holder = ticket.next();
        }
        is_holder
    }

    /// Calls `f` with the wheel; says whether the next deadline is earlier
    /// afterwards.
    pub(super) fn with_wheel<R>(&self, f: impl FnOnce(&mut Wheel) -> R) -> (R, bool) {
        let mut wheel = self.wheel.lock();
        let before = wheel.next_tick();
        let outcome = f(&mut wheel);
        let after = wheel.next_tick();
        let earlier = match (before, after) {
            (None, Some(_)) => {
                // Relaxed: whoever parks reads it under the same order that
                // brings it here: its own thread, or an unpark.
                self.has_timers.store(true, Ordering::Relaxed);
                true
            }
            (Some(before), Some(after)) => after < before,
            (_, None) => false,
        };
        (outcome, earlier)
    }

    /// Calls `f` with the wheel on the worker's own thread, which looks at
    /// the next deadline before it parks anyway.
    pub(super) fn with_own_wheel<R>(&self, f: impl FnOnce(&mut Wheel) -> R) -> R {
        let mut wheel = self.wheel.lock();
        self.has_timers.store(true, Ordering::Relaxed);
        f(&mut wheel)
    }

    /// Until when a park may last.
    pub(super) fn limit(&self) -> Limit {
        if !self.has_timers.load(Ordering::Relaxed) {
            return Limit::Forever;
        }
        let wheel = self.wheel.lock();
        match wheel.next_deadline() {
            Some(deadline) => Limit::Until(deadline),
            None => {
                self.has_timers.store(false, Ordering::Relaxed);
                Limit::Forever
            }
        }
    }

    /// Collects what became ready, sleeping at most until `limit`. `false`
    /// when the worker of `slot` has been relieved.
    #[must_use]
    pub(super) fn park(&self, slot: &Slot, limit: Limit, wakes: &mut Wakes) -> bool {
        let mut place = loop {
            if let Some(place) = self.place.try_lock() {
                break place;
            }
            // Somebody has it for a moment; or parks, for as long as that
            // takes, having sat down here after this worker was told to leave.
            if slot.ticket() == Ticket::NONE {
                return false;
            }
            std::thread::yield_now();
        };
        if place.holder != slot.ticket() {
            return false;
        }
        if let Err(error) = place.driver.park(limit, wakes) {
            // The kernel refusing to wait leaves nothing to fall back on.
            tracing::error!("a worker's driver failed to wait: {error}");
            if limit != Limit::NoWait {
                std::thread::yield_now();
            }
        }
        drop(place);
        self.fire_timers(wakes);
        true
    }

    pub(super) fn fire_timers(&self, wakes: &mut Wakes) {
        if self.has_timers.load(Ordering::Relaxed) {
            let now: Instant = self.remote.now();
            self.wheel.lock().advance(now, wakes);
        }
    }

    pub(super) fn shut_down(&self, wakes: &mut Wakes) {
        self.wheel.lock().shut_down(wakes);
        self.place.lock().driver.shut_down(wakes);
    }

    pub(super) fn timers(&self) -> usize {
        self.wheel.lock().len()
    }
}
