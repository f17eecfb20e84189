//! Guards of a mutex: borrowed, and those that keep it alive.

#![expect(unsafe_code, reason = "a guard reaches the value that its lock guards")]

use std::sync::Arc;

use super::{MappedMutexGuard, Mutex, OwnedMappedMutexGuard};
use crate::sync::guards::{reads, writes};
use crate::sync::raw::Held;

/// Has a [`Mutex`] until it is dropped.
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T: ?Sized> {
    held: Held<&'a Mutex<T>>,
}

/// As [`MutexGuard`], and keeps the mutex alive.
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct OwnedMutexGuard<T: ?Sized> {
    held: Held<Arc<Mutex<T>>>,
}

// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Send + Sync> Sync for MutexGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedMutexGuard<T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    #[inline]
    pub(super) fn new(held: Held<&'a Mutex<T>>) -> MutexGuard<'a, T> {
        MutexGuard { held }
    }

    /// A guard of a part of the value.
    #[inline]
    pub fn map<U, F>(mut this: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let data: *mut U = f(&mut *this);
        MappedMutexGuard::new(this.held.into_raw(), data)
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_map<U, F>(mut this: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Some(data) = f(&mut *this).map(|part| -> *mut U { part }) else {
            return Err(this);
        };
        Ok(MappedMutexGuard::new(this.held.into_raw(), data))
    }

    /// The mutex that it has.
    #[inline]
    #[must_use]
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.held.lock()
    }
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    #[inline]
    pub(super) fn new(held: Held<Arc<Mutex<T>>>) -> OwnedMutexGuard<T> {
        OwnedMutexGuard { held }
    }

    /// A guard of a part of the value.
    #[inline]
    pub fn map<U, F>(mut this: Self, f: F) -> OwnedMappedMutexGuard<T, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let data: *mut U = f(&mut *this);
        OwnedMappedMutexGuard::new(this.held, data)
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_map<U, F>(mut this: Self, f: F) -> Result<OwnedMappedMutexGuard<T, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Some(data) = f(&mut *this).map(|part| -> *mut U { part }) else {
            return Err(this);
        };
        Ok(OwnedMappedMutexGuard::new(this.held, data))
    }

    /// The mutex that it has.
    #[inline]
    #[must_use]
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        this.held.lock()
    }
}

reads!(impl[T: ?Sized] MutexGuard<'_, T>, T, |guard| guard.held.lock().value.get());
writes!(impl[T: ?Sized] MutexGuard<'_, T>, T, |guard| guard.held.lock().value.get());
reads!(impl[T: ?Sized] OwnedMutexGuard<T>, T, |guard| guard.held.lock().value.get());
writes!(impl[T: ?Sized] OwnedMutexGuard<T>, T, |guard| guard.held.lock().value.get());
