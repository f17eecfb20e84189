//! A lock that one task has at a time.

#![expect(
    unsafe_code,
    reason = "the value is shared between those who lock it in turn"
)]

mod guard;
mod mapped;

use std::borrow::Cow;
use std::cell::UnsafeCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

pub use self::guard::{MutexGuard, OwnedMutexGuard};
pub use self::mapped::{MappedMutexGuard, OwnedMappedMutexGuard};

use super::raw::{self, Held, Lock, Made, Raw};
use super::wait::{borrowed, owned};
use crate::report::LockKind;

/// A lock that one task has at a time, for values that are kept across
/// awaits.
///
/// Those who wait get it in the order in which they came. A panic of whoever
/// has it releases it; there is no poisoning.
///
/// A task that waits for what can never be released, since its holder waits in
/// turn, is reported: see [`sync`](crate::sync).
///
/// # Cost
/// Beside tokio's mutex, which it is built on, some plain stores to say who has
/// it since which line, and an allocation when it is locked for the first
/// time.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use tapio::sync::Mutex;
///
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let accounts = Arc::new(Mutex::named("accounts", vec![0_u32; 3]));
/// let others = Arc::clone(&accounts);
/// tapio::spawn(async move {
///     others.lock().await[1] += 5;
/// })
/// .await
/// .unwrap();
/// assert_eq!(*accounts.lock().await, [0, 5, 0]);
/// # });
/// ```
pub struct Mutex<T: ?Sized> {
    raw: Raw,
    value: UnsafeCell<T>,
}

// SAFETY: with the lock goes the value, from thread to thread.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: sharing the lock lets threads have the value in turn, never two at
// once: only guards reach it, and a guard has the lock's only permit.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

/// The lock is not free.
#[derive(Debug)]
pub struct TryLockError(pub(super) ());

impl<T: ?Sized> Lock for Mutex<T> {
    #[inline]
    fn raw(&self) -> &Raw {
        &self.raw
    }
}

impl<T> Mutex<T> {
    /// A mutex that nobody has.
    #[track_caller]
    pub fn new(value: T) -> Mutex<T> {
        Mutex::made(value, None, Location::caller())
    }

    /// As [`new`](Mutex::new), for constants.
    #[track_caller]
    pub const fn const_new(value: T) -> Mutex<T> {
        Mutex::made(value, None, Location::caller())
    }

    /// A mutex with a name for reports.
    #[track_caller]
    pub fn named(name: impl Into<Cow<'static, str>>, value: T) -> Mutex<T> {
        Mutex::made(value, Some(name.into()), Location::caller())
    }

    /// As [`named`](Mutex::named), for constants.
    #[track_caller]
    pub const fn const_named(name: &'static str, value: T) -> Mutex<T> {
        Mutex::made(value, Some(Cow::Borrowed(name)), Location::caller())
    }

    const fn made(
        value: T,
        name: Option<Cow<'static, str>>,
        at: &'static Location<'static>,
    ) -> Mutex<T> {
        Mutex {
            raw: Raw::new(Made {
                kind: LockKind::Mutex,
                name,
                at,
                permits: 1,
            }),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, without the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock and has it until the guard is dropped.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn lock(&self) -> impl Future<Output = MutexGuard<'_, T>> {
        let ask = borrowed(1);
        async move {
            let note = self.raw.get(ask).await;
            MutexGuard::new(Held::new(self, raw::never_closed(note), 1))
        }
    }

    /// As [`lock`](Mutex::lock), on a thread that may block.
    ///
    /// # Panics
    /// On a thread that drives futures, as those of a runtime do.
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        let note = raw::block_on(self.raw.acquire(borrowed(1)).blocking());
        MutexGuard::new(Held::new(self, raw::never_closed(note), 1))
    }

    /// As [`blocking_lock`](Mutex::blocking_lock), with a guard that keeps the
    /// mutex alive.
    ///
    /// # Panics
    /// On a thread that drives futures, as those of a runtime do.
    #[track_caller]
    pub fn blocking_lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        let note = raw::block_on(self.raw.acquire(owned(1)).blocking());
        let note = raw::never_closed(note);
        OwnedMutexGuard::new(Held::new(self, note, 1))
    }

    /// As [`lock`](Mutex::lock), with a guard that keeps the mutex alive.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> impl Future<Output = OwnedMutexGuard<T>> {
        let ask = owned(1);
        async move {
            let note = raw::never_closed(self.raw.get(ask).await);
            OwnedMutexGuard::new(Held::new(self, note, 1))
        }
    }

    /// Takes the lock if it is free.
    ///
    /// # Errors
    /// When somebody has it.
    #[track_caller]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        match self.raw.try_acquire(borrowed(1)) {
            Ok(note) => Ok(MutexGuard::new(Held::new(self, note, 1))),
            Err(_) => Err(TryLockError(())),
        }
    }

    /// As [`try_lock`](Mutex::try_lock), with a guard that keeps the mutex
    /// alive.
    ///
    /// # Errors
    /// When somebody has it.
    #[track_caller]
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        match self.raw.try_acquire(owned(1)) {
            Ok(note) => Ok(OwnedMutexGuard::new(Held::new(self, note, 1))),
            Err(_) => Err(TryLockError(())),
        }
    }

    /// The value, which nobody else can have while the mutex is borrowed so.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T> From<T> for Mutex<T> {
    #[track_caller]
    fn from(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => d.field("data", &&*guard),
            Err(_) => d.field("data", &format_args!("<locked>")),
        };
        d.finish()
    }
}

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("operation would block")
    }
}

impl Error for TryLockError {}
