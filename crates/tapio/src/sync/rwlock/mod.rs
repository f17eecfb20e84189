//! A lock that many readers or one writer have at a time.

#![expect(unsafe_code, reason = "the value is shared between those who lock it")]

mod mapped;
mod read;
mod write;

use std::borrow::Cow;
use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

pub use self::mapped::{OwnedRwLockMappedWriteGuard, RwLockMappedWriteGuard};
pub use self::read::{OwnedRwLockReadGuard, RwLockReadGuard};
pub use self::write::{OwnedRwLockWriteGuard, RwLockWriteGuard};

use super::TryLockError;
use super::raw::{self, Held, Lock, Made, Raw};
use super::wait::{borrowed, owned};
use crate::report::LockKind;

/// As many as tokio lets read at once.
const READERS_MAX: u32 = u32::MAX >> 3;

/// A lock that many readers or one writer have at a time, for values that are
/// kept across awaits.
///
/// Those who wait get it in the order in which they came: a reader waits for
/// the writers before it, so that writers are not starved. A task that reads
/// and, before it is done, reads again may therefore wait for itself, when a
/// writer has come in between. That and every other deadlock is reported: see
/// [`sync`](crate::sync).
///
/// # Cost
/// Beside tokio's lock, which it is built on, one atomic operation and some
/// plain stores to say who has it since which line, and an allocation when it
/// is locked for the first time. The fifth reader at a time, and those after
/// it, pass through a lock of the standard kind.
///
/// # Examples
/// ```
/// use tapio::sync::RwLock;
///
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let lock = RwLock::named("routes", 5);
/// {
///     let one = lock.read().await;
///     let other = lock.read().await;
///     assert_eq!(*one + *other, 10);
/// }
/// *lock.write().await += 1;
/// assert_eq!(lock.into_inner(), 6);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    readers_max: u32,
    raw: Raw,
    value: UnsafeCell<T>,
}

// SAFETY: with the lock goes the value, from thread to thread.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: sharing the lock lets threads read the value at once, or have it
// alone in turn: only guards reach it, a writer's has all permits.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T: ?Sized> Lock for RwLock<T> {
    #[inline]
    fn raw(&self) -> &Raw {
        &self.raw
    }
}

impl<T> RwLock<T> {
    /// A lock that nobody has.
    #[track_caller]
    pub fn new(value: T) -> RwLock<T> {
        RwLock::made(value, READERS_MAX, None, Location::caller())
    }

    /// A lock with a name for reports.
    #[track_caller]
    pub fn named(name: impl Into<Cow<'static, str>>, value: T) -> RwLock<T> {
        RwLock::made(value, READERS_MAX, Some(name.into()), Location::caller())
    }

    /// A lock that at most `max_reads` may read at once.
    ///
    /// # Panics
    /// When that is zero or more than `u32::MAX >> 3`.
    #[track_caller]
    pub fn with_max_readers(value: T, max_reads: u32) -> RwLock<T> {
        RwLock::const_with_max_readers(value, max_reads)
    }

    /// As [`new`](RwLock::new), for constants.
    #[track_caller]
    pub const fn const_new(value: T) -> RwLock<T> {
        RwLock::made(value, READERS_MAX, None, Location::caller())
    }

    /// As [`named`](RwLock::named), for constants.
    #[track_caller]
    pub const fn const_named(name: &'static str, value: T) -> RwLock<T> {
        let name = Some(Cow::Borrowed(name));
        RwLock::made(value, READERS_MAX, name, Location::caller())
    }

    /// As [`with_max_readers`](RwLock::with_max_readers), for constants.
    ///
    /// # Panics
    /// When `max_reads` is zero or more than `u32::MAX >> 3`.
    #[track_caller]
    pub const fn const_with_max_readers(value: T, max_reads: u32) -> RwLock<T> {
        assert!(max_reads != 0, "a RwLock may not be created with 0 readers");
        assert!(
            max_reads <= READERS_MAX,
            "a RwLock may not be created with more than u32::MAX >> 3 readers"
        );
        RwLock::made(value, max_reads, None, Location::caller())
    }

    const fn made(
        value: T,
        readers_max: u32,
        name: Option<Cow<'static, str>>,
        at: &'static Location<'static>,
    ) -> RwLock<T> {
        RwLock {
            readers_max,
            raw: Raw::new(Made {
                kind: LockKind::RwLock,
                name,
                at,
                permits: readers_max as usize,
            }),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, without the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until it may read, and keeps writers out until the guard is
    /// dropped.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn read(&self) -> impl Future<Output = RwLockReadGuard<'_, T>> {
        let ask = borrowed(1);
        async move {
            let note = raw::never_closed(self.raw.get(ask).await);
            RwLockReadGuard::new(Held::new(&self.raw, note, 1), self.value.get())
        }
    }

    /// As [`read`](RwLock::read), on a thread that may block.
    ///
    /// # Panics
    /// On a thread that drives futures, as those of a runtime do.
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        let note = raw::block_on(self.raw.acquire(borrowed(1)).blocking());
        let note = raw::never_closed(note);
        RwLockReadGuard::new(Held::new(&self.raw, note, 1), self.value.get())
    }

    /// As [`read`](RwLock::read), with a guard that keeps the lock alive.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn read_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockReadGuard<T>> {
        let ask = owned(1);
        async move {
            let note = raw::never_closed(self.raw.get(ask).await);
            let data = self.value.get();
            OwnedRwLockReadGuard::new(Held::new(self, note, 1), data)
        }
    }

    /// Reads if no writer has the lock or waits for it.
    ///
    /// # Errors
    /// When one does.
    #[track_caller]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        match self.raw.try_acquire(borrowed(1)) {
            Ok(note) => Ok(RwLockReadGuard::new(
                Held::new(&self.raw, note, 1),
                self.value.get(),
            )),
            Err(_) => Err(TryLockError(())),
        }
    }

    /// As [`try_read`](RwLock::try_read), with a guard that keeps the lock
    /// alive.
    ///
    /// # Errors
    /// When a writer has the lock or waits for it.
    #[track_caller]
    pub fn try_read_owned(self: Arc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        match self.raw.try_acquire(owned(1)) {
            Ok(note) => {
                let data = self.value.get();
                Ok(OwnedRwLockReadGuard::new(Held::new(self, note, 1), data))
            }
            Err(_) => Err(TryLockError(())),
        }
    }

    /// Waits until nobody else has the lock, and has it alone until the guard
    /// is dropped.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn write(&self) -> impl Future<Output = RwLockWriteGuard<'_, T>> {
        let ask = borrowed(self.readers_max);
        async move {
            let note = raw::never_closed(self.raw.get(ask).await);
            let held = Held::new(&self.raw, note, self.readers_max);
            RwLockWriteGuard::new(held, self.value.get())
        }
    }

    /// As [`write`](RwLock::write), on a thread that may block.
    ///
    /// # Panics
    /// On a thread that drives futures, as those of a runtime do.
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        let ask = borrowed(self.readers_max);
        let note = raw::block_on(self.raw.acquire(ask).blocking());
        let held = Held::new(&self.raw, raw::never_closed(note), self.readers_max);
        RwLockWriteGuard::new(held, self.value.get())
    }

    /// As [`write`](RwLock::write), with a guard that keeps the lock alive.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn write_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockWriteGuard<T>> {
        let ask = owned(self.readers_max);
        async move {
            let note = raw::never_closed(self.raw.get(ask).await);
            OwnedRwLockWriteGuard::new(Held::new(self, note, ask.permits))
        }
    }

    /// Writes if nobody has the lock.
    ///
    /// # Errors
    /// When somebody has it.
    #[track_caller]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        match self.raw.try_acquire(borrowed(self.readers_max)) {
            Ok(note) => {
                let held = Held::new(&self.raw, note, self.readers_max);
                Ok(RwLockWriteGuard::new(held, self.value.get()))
            }
            Err(_) => Err(TryLockError(())),
        }
    }

    /// As [`try_write`](RwLock::try_write), with a guard that keeps the lock
    /// alive.
    ///
    /// # Errors
    /// When somebody has it.
    #[track_caller]
    pub fn try_write_owned(self: Arc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        let ask = owned(self.readers_max);
        match self.raw.try_acquire(ask) {
            Ok(note) => {
                let held = Held::new(self, note, ask.permits);
                Ok(OwnedRwLockWriteGuard::new(held))
            }
            Err(_) => Err(TryLockError(())),
        }
    }

    /// The value, which nobody else can have while the lock is borrowed so.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T> From<T> for RwLock<T> {
    #[track_caller]
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    #[track_caller]
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => d.field("data", &&*guard),
            Err(_) => d.field("data", &format_args!("<locked>")),
        };
        d.finish()
    }
}
