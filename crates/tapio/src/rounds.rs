//! The guard's rounds: what it looks at beside threads, and when it is due.
//!
//! The guard sleeps while nothing runs. A part of the runtime that must be
//! looked at later all the same, a lock that somebody waits for say, joins the
//! rounds once and calls the guard when it has something new; the guard then
//! looks, and learns from the answer when to look again.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::{Duration, Instant};

use tapio_driver::PerProcess;
use tapio_driver::lock::{Condvar, Mutex};

/// Looks at one part of the runtime, and says when to look again; `None` when
/// there is nothing to look at until the next call. Runs on the guard's
/// thread, or on none while there is no runtime.
pub(crate) type Look = fn(now: Instant) -> Option<Instant>;

static LOOKS: PerProcess<Mutex<Vec<Look>>> = PerProcess::new(|_| Mutex::default());
static BELL: PerProcess<Bell> = PerProcess::new(|_| Bell {
    has_rung: Mutex::new(false),
    rung: Condvar::new(),
});
/// Whether the guard sleeps, or is about to. In a child by `fork` it may be
/// that of the parent still, and a call that rings for nobody is no harm.
static IS_ASLEEP: AtomicBool = AtomicBool::new(false);
/// Whether somebody called since the guard last tried to sleep: who has called
/// may not have begun yet what it called for.
static WAS_CALLED: AtomicBool = AtomicBool::new(false);

/// What the guard sleeps by.
struct Bell {
    has_rung: Mutex<bool>,
    rung: Condvar,
}

/// Has the guard call `look` on its rounds from now on. Once is enough.
pub(crate) fn join(look: Look) {
    let mut looks = LOOKS.lock();
    if !looks.iter().any(|known| std::ptr::fn_addr_eq(*known, look)) {
        looks.push(look);
    }
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
    WAS_CALLED.store(true, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    if IS_ASLEEP.load(Ordering::Relaxed) {
        ring();
    }
}

/// Wakes the guard, asleep or not.
#[cold]
pub(crate) fn ring() {
    let mut has_rung = BELL.has_rung.lock();
    if !*has_rung {
        *has_rung = true;
        BELL.rung.notify_one();
    }
}

/// Makes a round; says when the next is due.
pub(crate) fn walk(now: Instant) -> Option<Instant> {
    let looks = LOOKS.lock().clone();
    looks.into_iter().filter_map(|look| look(now)).min()
}

/// The guard sleeps until `until` or a call. `last_look` is made once callers
/// can see that it sleeps; it keeps the guard awake by answering true.
pub(crate) fn sleep(until: Option<Instant>, last_look: impl FnOnce() -> bool) {
    IS_ASLEEP.store(true, Ordering::Relaxed);
    // Pairs with the fence in `call`.
    fence(Ordering::SeqCst);
    // Relaxed: ordered by the fences.
    if !WAS_CALLED.swap(false, Ordering::Relaxed) && !last_look() {
        let mut has_rung = BELL.has_rung.lock();
        while !*has_rung {
            match until {
                None => BELL.rung.wait(&mut has_rung),
                Some(until) => {
                    if BELL.rung.wait_until(&mut has_rung, until).timed_out() {
                        break;
                    }
                }
            }
        }
    }
    IS_ASLEEP.store(false, Ordering::Relaxed);
    *BELL.has_rung.lock() = false;
}

/// The guard dozes between two samples while something runs; a ring ends it.
pub(crate) fn doze(period: Duration) {
    let mut has_rung = BELL.has_rung.lock();
    if !*has_rung {
        BELL.rung.wait_for(&mut has_rung, period);
    }
    *has_rung = false;
}
