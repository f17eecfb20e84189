//! Locks that a child by `fork` may use, without poison.
//!
//! Each is a word of its own, at which the kernel lets threads sleep: the
//! standard library's algorithm, without what poison costs. `parking_lot` keeps
//! the sleepers of all locks in one table. Where another thread of the parent's
//! was at the table when it forked, the child's next contended lock, however
//! new, hangs for ever; a busy parent's tenth child did.

#![expect(unsafe_code, reason = "a lock is given up while its guard is there")]

use std::fmt;
use std::time::{Duration, Instant};

use rustix_futex_sync::RawCondvar;

pub use rustix_futex_sync::{Mutex, MutexGuard, RwLock};

/// A condition variable, with guards that stay where they are.
pub struct Condvar(RawCondvar);

/// How a wait that has a limit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    timed_out: bool,
}

impl Waited {
    /// Whether the limit was reached.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.timed_out
    }
}

impl Condvar {
    /// One that nobody waits for.
    #[must_use]
    pub const fn new() -> Condvar {
        Condvar(RawCondvar::new())
    }

    /// Wakes one that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Gives the lock up, waits, and takes it again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        // SAFETY: this thread holds the lock, as the guard shows. Nobody looks
        // through the guard while the lock is given up: we have it alone.
        unsafe { self.0.wait(MutexGuard::mutex(guard).raw()) }
    }

    /// As [`Condvar::wait`], at most for so long.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, limit: Duration) -> Waited {
        // SAFETY: as in `wait`.
        let woken = unsafe { self.0.wait_timeout(MutexGuard::mutex(guard).raw(), limit) };
        Waited { timed_out: !woken }
    }

    /// As [`Condvar::wait`], at most until then.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, limit: Instant) -> Waited {
        self.wait_for(guard, limit.saturating_duration_since(Instant::now()))
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::{Condvar, Mutex};

    #[test]
    fn a_panic_leaves_the_lock_to_the_next_and_waits_give_it_up() {
        let (lock, changed) = (Mutex::new(0), Condvar::new());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut held = lock.lock();
            *held = 1;
            assert!(lock.try_lock().is_none());
            panic!("with the lock held");
        }));
        assert!(panicked.is_err());
        assert_eq!(*lock.try_lock().expect("it is free"), 1);
        thread::scope(|scope| {
            let mut held = lock.lock();
            scope.spawn(|| {
                *lock.lock() = 2;
                changed.notify_all();
            });
            while *held != 2 {
                changed.wait(&mut held);
            }
            let limit = Instant::now() + Duration::from_millis(1);
            while !changed.wait_until(&mut held, limit).timed_out() {}
        });
        assert_eq!(lock.into_inner(), 2);
    }
}
