//! Permits of a semaphore: borrowed, and those that keep it alive.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Semaphore;
use crate::sync::raw::Held;

/// Permits of a [`Semaphore`], given back when dropped.
#[must_use]
pub struct SemaphorePermit<'a> {
    held: Held<&'a Semaphore>,
}

/// As [`SemaphorePermit`], and keeps the semaphore alive.
#[must_use]
pub struct OwnedSemaphorePermit {
    held: Held<Arc<Semaphore>>,
}

impl<'a> SemaphorePermit<'a> {
    pub(super) fn new(held: Held<&'a Semaphore>) -> SemaphorePermit<'a> {
        SemaphorePermit { held }
    }

    /// Never gives the permits back: there are fewer from now on.
    pub fn forget(self) {
        self.held.forget();
    }

    /// Puts the permits of two into one.
    ///
    /// # Panics
    /// When they are not of the same semaphore.
    #[track_caller]
    pub fn merge(&mut self, other: Self) {
        self.held.merge(other.held);
    }

    /// Takes `n` of the permits into one of their own, if there are so many.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.held.split(n).map(SemaphorePermit::new)
    }

    /// The semaphore.
    #[must_use]
    pub fn semaphore(&self) -> &Semaphore {
        self.held.lock()
    }

    /// How many permits it holds.
    #[must_use]
    pub fn num_permits(&self) -> usize {
        self.held.permits()
    }
}

impl OwnedSemaphorePermit {
    pub(super) fn new(held: Held<Arc<Semaphore>>) -> OwnedSemaphorePermit {
        OwnedSemaphorePermit { held }
    }

    /// Never gives the permits back: there are fewer from now on.
    pub fn forget(self) {
        self.held.forget();
    }

    /// Puts the permits of two into one.
    ///
    /// # Panics
    /// When they are not of the same semaphore.
    #[track_caller]
    pub fn merge(&mut self, other: Self) {
        self.held.merge(other.held);
    }

    /// Takes `n` of the permits into one of their own, if there are so many.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.held.split(n).map(OwnedSemaphorePermit::new)
    }

    /// The semaphore.
    #[must_use]
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        self.held.lock()
    }

    /// How many permits it holds.
    #[must_use]
    pub fn num_permits(&self) -> usize {
        self.held.permits()
    }
}

impl<L: Deref<Target = Semaphore> + Clone> Held<L> {
    fn forget(mut self) {
        self.lock().raw.ledger().loosen();
        self.set_permits(0);
    }

    #[track_caller]
    fn merge(&mut self, mut other: Held<L>) {
        assert!(
            std::ptr::eq::<Semaphore>(&**self.lock(), &**other.lock()),
            "merging permits from different semaphore instances"
        );
        let permits = self.permits().checked_add(other.permits());
        let permits = permits.expect("number of permits overflowed");
        self.take_over(&mut other, permits);
    }

    fn split(&mut self, n: usize) -> Option<Held<L>> {
        let left = self.permits().checked_sub(n)?;
        let hold = self.lock().raw.ledger().read(self.note());
        self.set_permits(left);
        let note = self.lock().raw.write_part(hold, n);
        Some(Held::new_of(self.lock().clone(), note, n))
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit")
            .field("sem", self.semaphore())
            .field("permits", &self.num_permits())
            .finish()
    }
}

impl fmt::Debug for OwnedSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSemaphorePermit")
            .field("sem", self.semaphore())
            .field("permits", &self.num_permits())
            .finish()
    }
}
