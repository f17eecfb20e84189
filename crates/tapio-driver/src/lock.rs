//! Locks of the standard library, without poison.
//!
//! Each is a word of its own, at which the kernel lets threads sleep. That is
//! what a child by `fork` needs: `parking_lot` keeps the sleepers of all locks
//! in one table, and where another thread of the parent's was at the table at
//! that moment, the child's next contended lock, however new, hangs for ever.
//!
//! A panic while a lock is held leaves it to the next as it is; what is guarded
//! here is never left halfway by code that panics.

#![expect(unsafe_code, reason = "a guard is given up and taken back in place")]

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::{self, PoisonError, TryLockError, WaitTimeoutResult};
use std::time::{Duration, Instant};

pub use std::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// As [`sync::Mutex`].
#[derive(Default)]
pub struct Mutex<T: ?Sized>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock that nobody holds.
    #[inline]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    /// What it guarded.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock if nobody holds it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As [`sync::RwLock`].
#[derive(Debug, Default)]
pub struct RwLock<T: ?Sized>(sync::RwLock<T>);

impl<T> RwLock<T> {
    /// A lock that nobody holds.
    pub const fn new(value: T) -> RwLock<T> {
        RwLock(sync::RwLock::new(value))
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes.
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads, unless somebody writes.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        match self.0.try_read() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits until nobody reads or writes.
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As [`sync::Condvar`], with a guard that stays where it is.
#[derive(Debug, Default)]
pub struct Condvar(sync::Condvar);

impl Condvar {
    /// One that nobody waits for.
    #[must_use]
    pub const fn new() -> Condvar {
        Condvar(sync::Condvar::new())
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
        in_place(guard, |guard| {
            let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
            (guard, ())
        });
    }

    /// As [`Condvar::wait`], at most for so long.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, limit: Duration) -> WaitTimeoutResult {
        in_place(guard, |guard| {
            let waited = self.0.wait_timeout(guard, limit);
            waited.unwrap_or_else(PoisonError::into_inner)
        })
    }

    /// As [`Condvar::wait`], at most until then.
    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        limit: Instant,
    ) -> WaitTimeoutResult {
        self.wait_for(guard, limit.saturating_duration_since(Instant::now()))
    }
}

/// Calls `f` with the guard, and puts the one that it gives back in its place.
fn in_place<'a, T, R>(
    guard: &mut MutexGuard<'a, T>,
    f: impl FnOnce(MutexGuard<'a, T>) -> (MutexGuard<'a, T>, R),
) -> R {
    /// A panic would drop the guard twice.
    struct Abort;

    impl Drop for Abort {
        fn drop(&mut self) {
            std::process::abort();
        }
    }

    // SAFETY: the copy is used alone until the place is written to again, since
    // the caller's reference is exclusive; should `f` panic, nobody gets to see
    // the place.
    unsafe {
        let taken = ptr::read(guard);
        let abort = Abort;
        let (given_back, outcome) = f(taken);
        let _calm = ManuallyDrop::new(abort);
        ptr::write(guard, given_back);
        outcome
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
