//! Writers' guards.

#![expect(unsafe_code, reason = "a guard reaches the value that its lock guards")]

use std::marker::PhantomData;
use std::sync::Arc;

use super::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, RwLock, RwLockMappedWriteGuard,
    RwLockReadGuard,
};
use crate::sync::guards::{reads, writes};
use crate::sync::raw::{Held, Raw};

/// Has a [`RwLock`] alone until it is dropped.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    held: Held<&'a Raw>,
    data: *mut T,
    /// It is a `&mut T`.
    marker: PhantomData<&'a mut T>,
}

/// As [`RwLockWriteGuard`], and keeps the lock alive.
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    held: Held<Arc<RwLock<T>>>,
}

// SAFETY: it is a `&mut T`, which may become a `&T` here and elsewhere when it
// is downgraded, and a reference to the lock.
unsafe impl<T: ?Sized + Send + Sync> Send for RwLockWriteGuard<'_, T> {}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockWriteGuard<'_, T> {}
// SAFETY: as for the borrowed guard; the lock may drop its value here.
unsafe impl<T: ?Sized + Send + Sync> Send for OwnedRwLockWriteGuard<T> {}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedRwLockWriteGuard<T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    #[inline]
    pub(super) fn new(held: Held<&'a Raw>, data: *mut T) -> RwLockWriteGuard<'a, T> {
        RwLockWriteGuard {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of the value.
    #[inline]
    pub fn map<F, U: ?Sized>(mut this: Self, f: F) -> RwLockMappedWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let data: *mut U = f(&mut *this);
        RwLockMappedWriteGuard::new(this.held, data)
    }

    /// A guard of a part of the value, if there is that part.
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

    /// The same guard as one of a part that is the whole.
    #[inline]
    pub fn into_mapped(this: Self) -> RwLockMappedWriteGuard<'a, T> {
        RwLockWriteGuard::map(this, |whole| whole)
    }

    /// Reads a part of the value from now on, and lets others read.
    ///
    /// No writer comes in between.
    #[inline]
    pub fn downgrade_map<F, U: ?Sized>(this: Self, f: F) -> RwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let data: *const U = f(&*this);
        this.into_read(data)
    }

    /// As [`downgrade_map`](Self::downgrade_map), if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_downgrade_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        match f(&*this).map(|part| -> *const U { part }) {
            Some(data) => Ok(this.into_read(data)),
            None => Err(this),
        }
    }

    /// Reads from now on, and lets others read; no writer comes in between.
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let data = self.data;
        self.into_read(data)
    }

    fn into_read<U: ?Sized>(self, data: *const U) -> RwLockReadGuard<'a, U> {
        let mut held = self.held;
        held.shrink(1);
        RwLockReadGuard::new(held, data)
    }
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    #[inline]
    pub(super) fn new(held: Held<Arc<RwLock<T>>>) -> OwnedRwLockWriteGuard<T> {
        OwnedRwLockWriteGuard { held }
    }

    /// A guard of a part of the value.
    #[inline]
    pub fn map<F, U: ?Sized>(mut this: Self, f: F) -> OwnedRwLockMappedWriteGuard<T, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let data: *mut U = f(&mut *this);
        OwnedRwLockMappedWriteGuard::new(this.held, data)
    }

    /// A guard of a part of the value, if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_map<F, U: ?Sized>(
        mut this: Self,
        f: F,
    ) -> Result<OwnedRwLockMappedWriteGuard<T, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        let Some(data) = f(&mut *this).map(|part| -> *mut U { part }) else {
            return Err(this);
        };
        Ok(OwnedRwLockMappedWriteGuard::new(this.held, data))
    }

    /// The same guard as one of a part that is the whole.
    #[inline]
    pub fn into_mapped(this: Self) -> OwnedRwLockMappedWriteGuard<T> {
        OwnedRwLockWriteGuard::map(this, |whole| whole)
    }

    /// Reads a part of the value from now on, and lets others read.
    ///
    /// No writer comes in between.
    #[inline]
    pub fn downgrade_map<F, U: ?Sized>(this: Self, f: F) -> OwnedRwLockReadGuard<T, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let data: *const U = f(&*this);
        this.into_read(data)
    }

    /// As [`downgrade_map`](Self::downgrade_map), if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_downgrade_map<F, U: ?Sized>(
        this: Self,
        f: F,
    ) -> Result<OwnedRwLockReadGuard<T, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        match f(&*this).map(|part| -> *const U { part }) {
            Some(data) => Ok(this.into_read(data)),
            None => Err(this),
        }
    }

    /// Reads from now on, and lets others read; no writer comes in between.
    pub fn downgrade(self) -> OwnedRwLockReadGuard<T> {
        let data = self.held.lock().value.get();
        self.into_read(data)
    }

    /// The lock that it has.
    #[inline]
    #[must_use]
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        this.held.lock()
    }

    fn into_read<U: ?Sized>(self, data: *const U) -> OwnedRwLockReadGuard<T, U> {
        let mut held = self.held;
        held.shrink(1);
        OwnedRwLockReadGuard::new(held, data)
    }
}

reads!(impl[T: ?Sized] RwLockWriteGuard<'_, T>, T, |guard| guard.data);
writes!(impl[T: ?Sized] RwLockWriteGuard<'_, T>, T, |guard| guard.data);
reads!(impl[T: ?Sized] OwnedRwLockWriteGuard<T>, T, |guard| guard.held.lock().value.get());
writes!(impl[T: ?Sized] OwnedRwLockWriteGuard<T>, T, |guard| guard.held.lock().value.get());
