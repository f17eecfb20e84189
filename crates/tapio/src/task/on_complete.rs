//! A task's result, by callback.

use std::panic::Location;

use crate::callback::{self, Origin};
use crate::cell::{JoinError, JoinHandle};

impl<T: Send + 'static> JoinHandle<T> {
    /// Calls `callback` with the result when the task has ended, however it
    /// did: with a [`JoinError`] when it panicked, was aborted, or its runtime
    /// ended before it.
    ///
    /// It is called once, for certain, on the thread on which the task ends,
    /// usually a worker: it should return soon and must not block. When the
    /// task has ended already, it is called here and now, so do not hold a
    /// lock that it takes. Callbacks that come of a callback run after it, on
    /// the same thread.
    ///
    /// A callback that panics is contained and reported (see
    /// [`guard`](crate::guard)). What it needs to `await`, it can
    /// [`spawn`](crate::task::spawn).
    ///
    /// The task is not aborted any more when this handle is out of reach; keep
    /// an [`abort_handle`](JoinHandle::abort_handle) for that.
    ///
    /// # Cost
    /// One allocation.
    ///
    /// # Examples
    /// ```
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// let (resolver, promise) = tapio::promise();
    /// tapio::spawn(async { 6 * 7 }).on_complete(|answer| {
    ///     let _ = resolver.resolve(answer.unwrap_or(0));
    /// });
    /// assert_eq!(promise.await?, 42);
    /// # Ok::<_, tapio::promise::Broken>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn on_complete<F>(self, callback: F)
    where
        F: FnOnce(Result<T, JoinError>) + Send + 'static,
    {
        let origin = Origin {
            called_by: "JoinHandle::on_complete",
            given_at: Location::caller(),
            task: self.id().get(),
        };
        callback::when_ready(self, callback, origin);
    }
}
