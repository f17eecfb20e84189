//! Writers' guards of a part of the value.
//!
//! There is no way from here to a reader's guard: the part may have been
//! reached through a cell that only `&mut` makes safe to look into.

#![expect(unsafe_code, reason = "a guard reaches the value that its lock guards")]

use std::marker::PhantomData;
use std::sync::Arc;

use super::RwLock;
use crate::sync::guards::{reads, writes};
use crate::sync::raw::{Held, Raw};

/// Has a [`RwLock`] alone, for a part of its value; see
/// [`RwLockWriteGuard::map`](super::RwLockWriteGuard::map).
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockMappedWriteGuard<'a, T: ?Sized> {
    held: Held<&'a Raw>,
    data: *mut T,
    /// It is a `&mut T`.
    marker: PhantomData<&'a mut T>,
}

/// As [`RwLockMappedWriteGuard`], and keeps the lock alive.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct OwnedRwLockMappedWriteGuard<T: ?Sized, U: ?Sized = T> {
    held: Held<Arc<RwLock<T>>>,
    data: *mut U,
}

// SAFETY: it is a `&mut T` and a reference to the lock, which any thread may
// release.
unsafe impl<T: ?Sized + Send + Sync> Send for RwLockMappedWriteGuard<'_, T> {}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockMappedWriteGuard<'_, T> {}
// SAFETY: it is a `&mut U` and the lock, which may drop its value here.
unsafe impl<T, U> Send for OwnedRwLockMappedWriteGuard<T, U>
where
    T: ?Sized + Send + Sync,
    U: ?Sized + Send + Sync,
{
}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T, U> Sync for OwnedRwLockMappedWriteGuard<T, U>
where
    T: ?Sized + Send + Sync,
    U: ?Sized + Send + Sync,
{
}

impl<'a, T: ?Sized> RwLockMappedWriteGuard<'a, T> {
    #[inline]
    pub(super) fn new(held: Held<&'a Raw>, data: *mut T) -> RwLockMappedWriteGuard<'a, T> {
        RwLockMappedWriteGuard {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of this part.
    #[inline]
    pub fn map<F, U: ?Sized>(mut this: Self, f: F) -> RwLockMappedWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let data: *mut U = f(&mut *this);
        RwLockMappedWriteGuard::new(this.held, data)
    }

    /// A guard of a part of this part, if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_map<F, U: ?Sized>(
        mut this: Self,
        f: F,
    ) -> Result<RwLockMappedWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Some(data) = f(&mut *this).map(|part| -> *mut U { part }) else {
            return Err(this);
        };
        Ok(RwLockMappedWriteGuard::new(this.held, data))
    }
}

impl<T: ?Sized, U: ?Sized> OwnedRwLockMappedWriteGuard<T, U> {
    #[inline]
    pub(super) fn new(
        held: Held<Arc<RwLock<T>>>,
        data: *mut U,
    ) -> OwnedRwLockMappedWriteGuard<T, U> {
        OwnedRwLockMappedWriteGuard { held, data }
    }

    /// A guard of a part of this part.
    #[inline]
    pub fn map<F, V: ?Sized>(mut this: Self, f: F) -> OwnedRwLockMappedWriteGuard<T, V>
    where
        F: FnOnce(&mut U) -> &mut V,
    {
        let data: *mut V = f(&mut *this);
        OwnedRwLockMappedWriteGuard::new(this.held, data)
    }

    /// A guard of a part of this part, if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_map<F, V: ?Sized>(
        mut this: Self,
        f: F,
    ) -> Result<OwnedRwLockMappedWriteGuard<T, V>, Self>
    where
        F: FnOnce(&mut U) -> Option<&mut V>,
    {
        let Some(data) = f(&mut *this).map(|part| -> *mut V { part }) else {
            return Err(this);
        };
        Ok(OwnedRwLockMappedWriteGuard::new(this.held, data))
    }

    /// The lock that it has.
    #[inline]
    #[must_use]
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.held.lock()
    }
}

reads!(impl[T: ?Sized] RwLockMappedWriteGuard<'_, T>, T, |guard| guard.data);
writes!(impl[T: ?Sized] RwLockMappedWriteGuard<'_, T>, T, |guard| guard.data);
reads!(impl[T: ?Sized, U: ?Sized] OwnedRwLockMappedWriteGuard<T, U>, U, |guard| guard.data);
writes!(impl[T: ?Sized, U: ?Sized] OwnedRwLockMappedWriteGuard<T, U>, U, |guard| guard.data);
