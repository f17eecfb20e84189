//! Values that belong to a task and to nobody else.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

/// Declares keys of task-local values.
///
/// Each key is a [`LocalKey`](crate::task::LocalKey), which has a value only
/// inside of [`scope`](crate::task::LocalKey::scope).
///
/// # Examples
/// ```
/// tapio::task_local! {
///     /// Whom this task serves.
///     static USER: String;
/// }
///
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// USER.scope("ada".to_owned(), async {
///     assert_eq!(USER.get(), "ada");
/// })
/// .await;
/// # });
/// ```
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty; $($rest:tt)*) => {
        $crate::task_local!($(#[$attribute])* $visibility static $name: $type);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static VALUE: ::std::cell::RefCell<::std::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::__new(VALUE)
        };
    };
}

/// The key of a task-local value, made by [`task_local!`](crate::task_local).
///
/// A value is there for as long as the future (or closure) in its scope runs,
/// whichever thread that happens on. Tasks spawned inside do not inherit it.
pub struct LocalKey<T: 'static> {
    /// The value of the scope that this thread is in. Scopes swap theirs in
    /// and out.
    current: thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(current: thread::LocalKey<RefCell<Option<T>>>) -> LocalKey<T> {
        LocalKey { current }
    }

    /// Runs `future` with this key set to `value`.
    ///
    /// The value is dropped with the future that is returned, after the inner
    /// one, which can use it in its destructors.
    ///
    /// # Panics
    /// The future panics when it is polled inside of this key's own
    /// [`with`](LocalKey::with).
    pub fn scope<F>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F>
    where
        F: Future,
    {
        TaskLocalFuture {
            key: self,
            value: Some(value),
            future: Some(future),
            pinned: PhantomPinned,
        }
    }

    /// Runs `f` with this key set to `value`.
    ///
    /// # Panics
    /// Inside of this key's own [`with`](LocalKey::with), and on a thread that
    /// is being torn down.
    #[track_caller]
    pub fn sync_scope<F, R>(&'static self, value: T, f: F) -> R
    where
        F: FnOnce() -> R,
    {
        match self.swapped(&mut Some(value), f) {
            Ok(outcome) => outcome,
            Err(refused) => refused.panic(),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    /// Outside of a scope of this key; see [`LocalKey::try_with`].
    #[track_caller]
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        match self.try_with(f) {
            Ok(outcome) => outcome,
            Err(_) => panic!("cannot access a task-local storage value without setting it first"),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    /// Outside of a scope of this key.
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        match self
            .current
            .try_with(|value| value.borrow().as_ref().map(f))
        {
            Ok(Some(outcome)) => Ok(outcome),
            // A thread that is being torn down is in no scope either.
            Ok(None) | Err(_) => Err(AccessError(())),
        }
    }

    /// Calls `f` while `value` is what this thread sees, then takes the value
    /// back, whether `f` returned or panicked.
    fn swapped<R>(
        &'static self,
        value: &mut Option<T>,
        f: impl FnOnce() -> R,
    ) -> Result<R, Refused> {
        struct SwapBack<'a, T: 'static> {
            key: &'static LocalKey<T>,
            value: &'a mut Option<T>,
        }

        impl<T> Drop for SwapBack<'_, T> {
            fn drop(&mut self) {
                // The key was there and not borrowed when `f` began, and
                // borrows end with the call that they are given to.
                let _ = self.key.swap(self.value);
            }
        }

        self.swap(value)?;
        let _back = SwapBack { key: self, value };
        Ok(f())
    }

    fn swap(&'static self, value: &mut Option<T>) -> Result<(), Refused> {
        self.current
            .try_with(|current| match current.try_borrow_mut() {
                Ok(mut current) => {
                    mem::swap(&mut *current, value);
                    Ok(())
                }
                Err(_) => Err(Refused::Borrowed),
            })
            .unwrap_or(Err(Refused::TornDown))
    }
}

impl<T: Clone + 'static> LocalKey<T> {
    /// A copy of the value.
    ///
    /// # Panics
    /// Outside of a scope of this key; see [`LocalKey::try_get`].
    #[track_caller]
    pub fn get(&'static self) -> T {
        self.with(T::clone)
    }

    /// A copy of the value.
    ///
    /// # Errors
    /// Outside of a scope of this key.
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.try_with(T::clone)
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("LocalKey { .. }")
    }
}

pin_project! {
    /// The future of [`LocalKey::scope`].
    ///
    /// # Cancel safety
    /// Dropping it drops the inner future first, with the value still set.
    #[must_use = "futures do nothing unless polled"]
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        // Here between polls; in the thread's cell during one.
        value: Option<T>,
        #[pin]
        future: Option<F>,
        // Never `Unpin`, as tokio's, so that neither promises more.
        #[pin]
        pinned: PhantomPinned,
    }

    impl<T, F> PinnedDrop for TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if mem::needs_drop::<F>() && this.future.is_some() {
                // Where the value cannot be set the future is dropped without
                // it, as a field.
                let _ = this.key.swapped(this.value, || this.future.set(None));
            }
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value out, which ends its life in the scope: a future polled
    /// afterwards finds the key unset.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut slot = this.future;
        let polled = this.key.swapped(this.value, || {
            let polled = slot.as_mut().as_pin_mut()?.poll(cx);
            if polled.is_ready() {
                // Its destructors may use the value too.
                slot.set(None);
            }
            Some(polled)
        });
        match polled {
            Ok(Some(polled)) => polled,
            Ok(None) => panic!("`TaskLocalFuture` polled after completion"),
            Err(refused) => refused.panic(),
        }
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TaskLocalFuture");
        match &self.value {
            Some(value) => debug.field("value", value),
            None => debug.field("value", &format_args!("<missing>")),
        };
        debug.finish_non_exhaustive()
    }
}

/// A task-local value was asked for outside of its scope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task-local value not set")
    }
}

impl std::error::Error for AccessError {}

/// Why a scope could not be entered.
enum Refused {
    Borrowed,
    TornDown,
}

impl Refused {
    #[track_caller]
    fn panic(&self) -> ! {
        match self {
            Refused::Borrowed => {
                panic!("cannot enter a task-local scope while the task-local storage is borrowed")
            }
            Refused::TornDown => panic!(
                "cannot enter a task-local scope during or after destruction of the underlying \
                 thread-local"
            ),
        }
    }
}
