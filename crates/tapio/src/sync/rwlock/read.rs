//! Readers' guards.

#![expect(unsafe_code, reason = "a guard reaches the value that its lock guards")]

use std::marker::PhantomData;
use std::sync::Arc;

use super::RwLock;
use crate::sync::guards::reads;
use crate::sync::raw::{Held, Raw};

/// Reads a [`RwLock`] until it is dropped.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    held: Held<&'a Raw>,
    data: *const T,
    /// It is a `&T`.
    marker: PhantomData<&'a T>,
}

/// As [`RwLockReadGuard`], and keeps the lock alive.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct OwnedRwLockReadGuard<T: ?Sized, U: ?Sized = T> {
    held: Held<Arc<RwLock<T>>>,
    data: *const U,
}

// SAFETY: it is a `&T` and a reference to the lock, which any thread may
// release.
unsafe impl<T: ?Sized + Sync> Send for RwLockReadGuard<'_, T> {}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: it is a `&U` and the lock, which may drop its value here.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Send for OwnedRwLockReadGuard<T, U> {}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send + Sync> Sync for OwnedRwLockReadGuard<T, U> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    #[inline]
    pub(super) fn new(held: Held<&'a Raw>, data: *const T) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of the value.
    #[inline]
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> RwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let data: *const U = f(&*this);
        RwLockReadGuard::new(this.held, data)
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        let Some(data) = f(&*this).map(|part| -> *const U { part }) else {
            return Err(this);
        };
        Ok(RwLockReadGuard::new(this.held, data))
    }
}

impl<T: ?Sized, U: ?Sized> OwnedRwLockReadGuard<T, U> {
    #[inline]
    pub(super) fn new(held: Held<Arc<RwLock<T>>>, data: *const U) -> OwnedRwLockReadGuard<T, U> {
        OwnedRwLockReadGuard { held, data }
    }

    /// A guard of a part of the value.
    #[inline]
    pub fn map<F, V: ?Sized>(this: Self, f: F) -> OwnedRwLockReadGuard<T, V>
    where
        F: FnOnce(&U) -> &V,
    {
        let data: *const V = f(&*this);
        OwnedRwLockReadGuard::new(this.held, data)
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_map<F, V: ?Sized>(this: Self, f: F) -> Result<OwnedRwLockReadGuard<T, V>, Self>
    where
        F: FnOnce(&U) -> Option<&V>,
    {
        let Some(data) = f(&*this).map(|part| -> *const V { part }) else {
            return Err(this);
        };
        Ok(OwnedRwLockReadGuard::new(this.held, data))
    }

    /// The lock that it reads.
    #[inline]
    #[must_use]
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.held.lock()
    }
}

reads!(impl[T: ?Sized] RwLockReadGuard<'_, T>, T, |guard| guard.data);
reads!(impl[T: ?Sized, U: ?Sized] OwnedRwLockReadGuard<T, U>, U, |guard| guard.data);
