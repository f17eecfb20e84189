//! The guard's rounds: what it looks at beside threads, and when it is due.
//!
//! The guard sleeps while nothing runs. A part of the runtime that must be
//! looked at later all the same, a lock that somebody waits for say, joins the
//! rounds once and calls the guard when it has something new; the guard then
//! asks when to look, and has it looked at then, by a thread that may wait.
//!
//! The guard itself waits for nobody here: it asks without waiting for a lock
//! that others allocate under, and the bell's lock is the standard library's,
//! whose sleepers need no table that grows (`guard::engine`).

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A part of the runtime that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// When it is to be looked at. Waits for nobody and allocates nothing: it
    /// runs on the guard's thread.
    pub(crate) due: fn() -> Due,
    /// Looks at it. Runs on the reporter's thread.
    pub(crate) look: fn(now: Instant),
}

/// When to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Not before the next call.
    Never,
    At(Instant),
    /// Somebody is at it in this moment.
    Busy,
}

/// There is one: the locks.
static STOP: OnceLock<Stop> = OnceLock::new();
static BELL: Bell = Bell {
    is_asleep: AtomicBool::new(false),
    was_called: AtomicBool::new(false),
    has_rung: Mutex::new(false),
    rung: Condvar::new(),
};

/// What the guard sleeps by.
struct Bell {
    /// Whether the guard sleeps, or is about to.
    is_asleep: AtomicBool,
    /// Whether somebody called since the guard last tried to sleep: who has
    /// called may not have begun yet what it called for.
    was_called: AtomicBool,
    has_rung: Mutex<bool>,
    rung: Condvar,
}

/// Has the guard visit `stop` on its rounds from now on.
pub(crate) fn join(stop: Stop) {
    let _ = STOP.set(stop);
}

/// Calls the guard to make its round now, if it sleeps.
///
/// # Cost
/// A store, a fence and a load while the guard is awake; a system call when it sleeps,
/// after which it is awake for a while.
#[inline]
pub(crate) fn call() {
    // Pairs with the fence in `sleep`: either we see that it sleeps, or it
    // sees this store, and all that we did before, when it tries to.
    BELL.was_called.store(true, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    if BELL.is_asleep.load(Ordering::Relaxed) {
        ring();
    }
}

/// Wakes the guard, asleep or not.
#[cold]
pub(crate) fn ring() {
    let mut has_rung = BELL.has_rung();
    if !*has_rung {
        *has_rung = true;
        BELL.rung.notify_one();
    }
}

/// When the next look is due.
pub(crate) fn due() -> Due {
    STOP.get().map_or(Due::Never, |stop| (stop.due)())
}

/// Looks at what is due.
pub(crate) fn walk(now: Instant) {
    if let Some(stop) = STOP.get() {
        (stop.look)(now);
    }
}

impl Bell {
    /// Nobody panics with it.
    fn has_rung(&self) -> MutexGuard<'_, bool> {
        self.has_rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a ring, at most for so long; `None` for as long as it takes.
    fn wait(&self, limit: Option<Duration>) {
        let has_rung = self.has_rung();
        let mut has_rung = match limit {
            None => self
                .rung
                .wait_while(has_rung, |has_rung| !*has_rung)
                .unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                self.rung
                    .wait_timeout_while(has_rung, limit, |has_rung| !*has_rung)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        *has_rung = false;
    }
}

/// The guard sleeps until a call, at most for `limit`. `last_look` is made once callers
/// can see that it sleeps; it keeps the guard awake by answering true.
pub(crate) fn sleep(limit: Option<Duration>, last_look: impl FnOnce() -> bool) {
    BELL.is_asleep.store(true, Ordering::Relaxed);
    // Pairs with the fence in `call`.
    fence(Ordering::SeqCst);
    // Relaxed: ordered by the fences.
    if !BELL.was_called.swap(false, Ordering::Relaxed) && !last_look() {
        BELL.wait(limit);
    }
    BELL.is_asleep.store(false, Ordering::Relaxed);
    *BELL.has_rung() = false;
}

/// The guard dozes between two samples while something runs; a ring ends it.
pub(crate) fn doze(period: Duration) {
    BELL.wait(Some(period));
}
