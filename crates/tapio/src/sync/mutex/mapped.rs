//! Guards of a part of what a mutex guards.

#![expect(unsafe_code, reason = "a guard reaches the value that its lock guards")]

use std::marker::PhantomData;
use std::sync::Arc;

use super::Mutex;
use crate::sync::guards::{reads, writes};
use crate::sync::raw::{Held, Raw};

/// Has a [`Mutex`], for a part of its value; see
/// [`MutexGuard::map`](super::MutexGuard::map).
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MappedMutexGuard<'a, T: ?Sized> {
    held: Held<&'a Raw>,
    data: *mut T,
    /// It is a `&mut T`.
    marker: PhantomData<&'a mut T>,
}

/// As [`MappedMutexGuard`], and keeps the mutex alive.
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct OwnedMappedMutexGuard<T: ?Sized, U: ?Sized = T> {
    held: Held<Arc<Mutex<T>>>,
    data: *mut U,
}

// SAFETY: it is a `&mut T` and a reference to the lock, which any thread may
// release.
unsafe impl<T: ?Sized + Send> Send for MappedMutexGuard<'_, T> {}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Sync> Sync for MappedMutexGuard<'_, T> {}
// SAFETY: it is a `&mut U` and the mutex, which may drop its value here.
unsafe impl<T: ?Sized + Send, U: ?Sized + Send> Send for OwnedMappedMutexGuard<T, U> {}
// SAFETY: a shared guard gives shared references to the value.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send + Sync> Sync for OwnedMappedMutexGuard<T, U> {}

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    #[inline]
    pub(super) fn new(held: Held<&'a Raw>, data: *mut T) -> MappedMutexGuard<'a, T> {
        MappedMutexGuard {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of this part.
    #[inline]
    pub fn map<U, F>(mut this: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let data: *mut U = f(&mut *this);
        MappedMutexGuard::new(this.held, data)
    }

    /// A guard of a part of this part, if there is that part.
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
        Ok(MappedMutexGuard::new(this.held, data))
    }
}

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    #[inline]
    pub(super) fn new(held: Held<Arc<Mutex<T>>>, data: *mut U) -> OwnedMappedMutexGuard<T, U> {
        OwnedMappedMutexGuard { held, data }
    }

    /// A guard of a part of this part.
    #[inline]
    pub fn map<S, F>(mut this: Self, f: F) -> OwnedMappedMutexGuard<T, S>
    where
        S: ?Sized,
        F: FnOnce(&mut U) -> &mut S,
    {
        let data: *mut S = f(&mut *this);
        OwnedMappedMutexGuard::new(this.held, data)
    }

    /// A guard of a part of this part, if there is that part.
    ///
    /// # Errors
    /// The guard itself, if not.
    #[inline]
    pub fn try_map<S, F>(mut this: Self, f: F) -> Result<OwnedMappedMutexGuard<T, S>, Self>
    where
        S: ?Sized,
        F: FnOnce(&mut U) -> Option<&mut S>,
    {
        let Some(data) = f(&mut *this).map(|part| -> *mut S { part }) else {
            return Err(this);
        };
        Ok(OwnedMappedMutexGuard::new(this.held, data))
    }
}

reads!(impl[T: ?Sized] MappedMutexGuard<'_, T>, T, |guard| guard.data);
writes!(impl[T: ?Sized] MappedMutexGuard<'_, T>, T, |guard| guard.data);
reads!(impl[T: ?Sized, U: ?Sized] OwnedMappedMutexGuard<T, U>, U, |guard| guard.data);
writes!(impl[T: ?Sized, U: ?Sized] OwnedMappedMutexGuard<T, U>, U, |guard| guard.data);
