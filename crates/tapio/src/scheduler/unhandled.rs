//! What a panic in a task does to its runtime: nothing, unless the runtime
//! was built to end by it (`Builder::unhandled_panic`).
//!
//! Then the first panic raises a flag and wakes everybody who blocks on the
//! runtime, to panic as well. The tasks end: those of a `current_thread`
//! runtime here and now, since all are this thread's; those of workers when
//! the workers have stopped, as at any other end of a runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tapio_driver::lock::Mutex;

use super::shared::{Flavor, Shared};

const MESSAGE: &str =
    "a spawned task panicked and the runtime is configured to shut down on unhandled panic";

/// Whether a panic has ended the runtime, and who must know.
#[derive(Debug, Default)]
pub(super) struct Unhandled {
    has_panicked: AtomicBool,
    /// Of those who block on the runtime.
    blocked: Mutex<Slab<Waker>>,
}

impl Shared {
    /// A poll of a task panicked.
    #[cold]
    pub(super) fn poll_panicked(&self) {
        if !self.config.ends_on_panic || !self.process.is_current() {
            return;
        }
        // AcqRel: pairs with the load in `UntilPanic::poll`. Whoever is not in
        // the list yet puts itself there and looks at the flag afterwards.
        if self.unhandled.has_panicked.swap(true, Ordering::AcqRel) {
            return;
        }
        match self.config.flavor {
            Flavor::CurrentThread => self.close_owned(),
            Flavor::MultiThread => self.stop(),
        }
        let blocked = std::mem::take(&mut *self.unhandled.blocked.lock());
        for (_, waker) in blocked {
            waker.wake();
        }
    }

    /// Whether panics end this runtime, so that who blocks on it must go
    /// through [`UntilPanic`].
    pub(crate) fn ends_on_panic(&self) -> bool {
        self.config.ends_on_panic
    }
}

/// A future that somebody blocks on, which panics when a task's panic ends
/// the runtime.
pub(crate) struct UntilPanic<'a, T> {
    shared: &'a Arc<Shared>,
    future: Pin<&'a mut dyn Future<Output = T>>,
    /// Where this one's waker is in the list.
    key: Option<usize>,
}

impl<'a, T> UntilPanic<'a, T> {
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        future: Pin<&'a mut dyn Future<Output = T>>,
    ) -> UntilPanic<'a, T> {
        UntilPanic {
            shared,
            future,
            key: None,
        }
    }

    fn check(&self) {
        // Acquire pairs with the swap in `poll_panicked`.
        let has_panicked = &self.shared.unhandled.has_panicked;
        assert!(!has_panicked.load(Ordering::Acquire), "{MESSAGE}");
    }
}

impl<T> Future for UntilPanic<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // A runtime that has ended still runs what is done at once, as
        // tokio's does; so no look before the first poll.
        if self.key.is_some() {
            self.check();
        }
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        if self.key.is_none() {
            // Whoever blocks has one waker for all of its time.
            let waker = cx.waker().clone();
            self.key = Some(self.shared.unhandled.blocked.lock().insert(waker));
        }
        self.check();
        Poll::Pending
    }
}

impl<T> Drop for UntilPanic<'_, T> {
    fn drop(&mut self) {
        if let Some(key) = self.key
            && self.shared.process.is_current()
        {
            // Gone from there, if it was woken by a panic.
            let waker = self.shared.unhandled.blocked.lock().try_remove(key);
            drop(waker);
        }
    }
}
