//! A place at which work arrives.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_queue::SegQueue;
use parking_lot::Mutex;
use tapio_driver::{Driver, Limit, Remote, Wakes};

use crate::cell::Notified;
use crate::wheel::Wheel;

/// An inbox, a timer wheel and a driver.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Tasks woken or spawned elsewhere. Anybody may put in and take out.
    pub(super) inbox: SegQueue<Notified>,
    wheel: Mutex<Wheel>,
    /// Whether the wheel may hold a timer: spares an idle wheel's lock and
    /// the clock.
    has_timers: AtomicBool,
    /// Held while its worker parks, and never while a task runs.
    driver: Mutex<Box<dyn Driver>>,
    remote: Arc<dyn Remote>,
}

impl Seat {
    /// `start` is where the wheels of all seats begin, so that a deadline is
    /// the same tick on each.
    pub(super) fn new(driver: Box<dyn Driver>, start: Instant) -> Seat {
        let remote = driver.remote();
        Seat {
            inbox: SegQueue::new(),
            wheel: Mutex::new(Wheel::new(start)),
            has_timers: AtomicBool::new(false),
            driver: Mutex::new(driver),
            remote,
        }
    }

    pub(crate) fn remote(&self) -> &Arc<dyn Remote> {
        &self.remote
    }

    /// The calling thread works here from now on.
    pub(super) fn occupy(&self) -> io::Result<()> {
        self.driver.lock().occupy()
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

    /// Collects what became ready, sleeping at most until `limit`.
    pub(super) fn park(&self, limit: Limit, wakes: &mut Wakes) {
        if let Err(error) = self.driver.lock().park(limit, wakes) {
            // The kernel refusing to wait leaves nothing to fall back on.
            tracing::error!("a worker's driver failed to wait: {error}");
            if limit != Limit::NoWait {
                std::thread::yield_now();
            }
        }
        self.fire_timers(wakes);
    }

    pub(super) fn fire_timers(&self, wakes: &mut Wakes) {
        if self.has_timers.load(Ordering::Relaxed) {
            let now: Instant = self.remote.now();
            self.wheel.lock().advance(now, wakes);
        }
    }

    pub(super) fn shut_down(&self, wakes: &mut Wakes) {
        self.wheel.lock().shut_down(wakes);
        self.driver.lock().shut_down(wakes);
    }

    pub(super) fn timers(&self) -> usize {
        self.wheel.lock().len()
    }
}
