//! Permits, of which there are so many.

mod permit;

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

pub use self::permit::{OwnedSemaphorePermit, SemaphorePermit};

use super::raw::{self, Held, Lock, Made, Raw};
use super::wait::{borrowed, owned};
use super::{AcquireError, TryAcquireError};
use crate::report::LockKind;

/// Permits, of which there are so many: whoever has one may do what only so
/// many may do at once.
///
/// Those who wait get theirs in the order in which they came; one that waits
/// for many is not passed over by those that want few.
///
/// A task that waits for permits which can never be released, since all who
/// have them wait in turn, is reported when that has lasted: see
/// [`sync`](crate::sync). That goes
/// for semaphores whose permits are acquired and released only: once permits
/// were added or forgotten, nothing follows from who has them.
///
/// # Cost
/// As that of a reader of a [`RwLock`](super::RwLock).
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use tapio::sync::Semaphore;
///
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let uploads = Arc::new(Semaphore::named("uploads", 2));
/// let one = uploads.acquire().await.unwrap();
/// let other = Arc::clone(&uploads).acquire_owned().await.unwrap();
/// assert!(uploads.try_acquire().is_err());
/// drop((one, other));
/// assert_eq!(uploads.available_permits(), 2);
/// # });
/// ```
pub struct Semaphore {
    raw: Raw,
}

impl Lock for Semaphore {
    #[inline]
    fn raw(&self) -> &Raw {
        &self.raw
    }
}

impl Semaphore {
    /// As many permits as a semaphore may have.
    pub const MAX_PERMITS: usize = tokio::sync::Semaphore::MAX_PERMITS;

    /// A semaphore with so many permits.
    ///
    /// # Panics
    /// When that is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[track_caller]
    #[must_use]
    pub fn new(permits: usize) -> Semaphore {
        check(permits);
        Semaphore::made(permits, None, Location::caller())
    }

    /// A semaphore with a name for reports.
    ///
    /// # Panics
    /// When that is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[track_caller]
    #[must_use]
    pub fn named(name: impl Into<Cow<'static, str>>, permits: usize) -> Semaphore {
        check(permits);
        Semaphore::made(permits, Some(name.into()), Location::caller())
    }

    /// As [`new`](Semaphore::new), for constants.
    ///
    /// # Panics
    /// When that is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[track_caller]
    #[must_use]
    pub const fn const_new(permits: usize) -> Semaphore {
        Semaphore::made(permits, None, Location::caller())
    }

    /// As [`named`](Semaphore::named), for constants.
    ///
    /// # Panics
    /// When that is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[track_caller]
    #[must_use]
    pub const fn const_named(name: &'static str, permits: usize) -> Semaphore {
        Semaphore::made(permits, Some(Cow::Borrowed(name)), Location::caller())
    }

    const fn made(
        permits: usize,
        name: Option<Cow<'static, str>>,
        at: &'static Location<'static>,
    ) -> Semaphore {
        Semaphore {
            raw: Raw::new(Made {
                kind: LockKind::Semaphore,
                name,
                at,
                permits,
            }),
        }
    }

    /// How many permits nobody has.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.raw.semaphore().available_permits()
    }

    /// Adds permits.
    ///
    /// # Panics
    /// When there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) then.
    pub fn add_permits(&self, n: usize) {
        self.raw.ledger().loosen();
        self.raw.semaphore().add_permits(n);
    }

    /// Takes away up to `n` permits that nobody has; says how many.
    pub fn forget_permits(&self, n: usize) -> usize {
        self.raw.ledger().loosen();
        self.raw.semaphore().forget_permits(n)
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// When the semaphore is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        self.acquire_many(1)
    }

    /// Waits for `n` permits at once.
    ///
    /// # Errors
    /// When the semaphore is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn acquire_many(
        &self,
        n: u32,
    ) -> impl Future<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        let ask = borrowed(n);
        async move {
            let note = self.raw.get(ask).await?;
            Ok(SemaphorePermit::new(Held::new(self, note, n)))
        }
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    /// When there is none, or the semaphore is closed.
    #[track_caller]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if there are so many.
    ///
    /// # Errors
    /// When there are fewer, or the semaphore is closed.
    #[track_caller]
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        let note = self.raw.try_acquire(borrowed(n))?;
        Ok(SemaphorePermit::new(Held::new(self, note, n)))
    }

    /// As [`acquire`](Semaphore::acquire), on a thread that may block.
    ///
    /// # Errors
    /// When the semaphore is closed.
    ///
    /// # Panics
    /// On a thread that drives futures, as those of a runtime do.
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.blocking_acquire_many(1)
    }

    /// As [`acquire_many`](Semaphore::acquire_many), on a thread that may
    /// block.
    ///
    /// # Errors
    /// When the semaphore is closed.
    ///
    /// # Panics
    /// On a thread that drives futures, as those of a runtime do.
    #[track_caller]
    pub fn blocking_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        let note = raw::block_on(self.raw.acquire(borrowed(n)).blocking())?;
        Ok(SemaphorePermit::new(Held::new(self, note, n)))
    }

    /// As [`acquire`](Semaphore::acquire), with a permit that keeps the
    /// semaphore alive.
    ///
    /// # Errors
    /// When the semaphore is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn acquire_owned(
        self: Arc<Self>,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        self.acquire_many_owned(1)
    }

    /// As [`acquire_many`](Semaphore::acquire_many), with permits that keep
    /// the semaphore alive.
    ///
    /// # Errors
    /// When the semaphore is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped but the place in line.
    #[track_caller]
    pub fn acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, AcquireError>> {
        let ask = owned(n);
        async move {
            let note = self.raw.get(ask).await?;
            Ok(OwnedSemaphorePermit::new(Held::new(self, note, n)))
        }
    }

    /// As [`try_acquire`](Semaphore::try_acquire), with a permit that keeps
    /// the semaphore alive.
    ///
    /// # Errors
    /// When there is none, or the semaphore is closed.
    #[track_caller]
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Semaphore::try_acquire_many), with permits that
    /// keep the semaphore alive.
    ///
    /// # Errors
    /// When there are fewer, or the semaphore is closed.
    #[track_caller]
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let note = self.raw.try_acquire(owned(n))?;
        Ok(OwnedSemaphorePermit::new(Held::new(self, note, n)))
    }

    /// As [`blocking_acquire`](Semaphore::blocking_acquire), with a permit
    /// that keeps the semaphore alive.
    ///
    /// # Errors
    /// When the semaphore is closed.
    ///
    /// # Panics
    /// On a thread that drives futures, as those of a runtime do.
    #[track_caller]
    pub fn blocking_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.blocking_acquire_many_owned(1)
    }

    /// As [`blocking_acquire_many`](Semaphore::blocking_acquire_many), with
    /// permits that keep the semaphore alive.
    ///
    /// # Errors
    /// When the semaphore is closed.
    ///
    /// # Panics
    /// On a thread that drives futures, as those of a runtime do.
    #[track_caller]
    pub fn blocking_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        let note = raw::block_on(self.raw.acquire(owned(n)).blocking())?;
        Ok(OwnedSemaphorePermit::new(Held::new(self, note, n)))
    }

    /// Gives out no more permits: those who wait are told so.
    pub fn close(&self) {
        // Who waits is first in line for nothing any more.
        self.raw.ledger().loosen();
        self.raw.semaphore().close();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.raw.semaphore().is_closed()
    }
}

#[track_caller]
fn check(permits: usize) {
    assert!(
        permits <= Semaphore::MAX_PERMITS,
        "a semaphore may not have more than MAX_PERMITS permits ({})",
        Semaphore::MAX_PERMITS
    );
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("permits", &self.available_permits())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}
