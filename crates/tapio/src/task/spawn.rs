//! Starting tasks and calls.

use std::future::Future;
use std::panic::Location;

use crate::cell::JoinHandle;
use crate::context::{self, Entered};
use crate::runtime::Handle;
use crate::scheduler;

/// Spawns a task, which runs beside its spawner from now on.
///
/// # Panics
/// Outside of a runtime.
///
/// # Examples
/// ```
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let sum = tapio::spawn(async { (1..=10).sum::<u32>() });
/// assert_eq!(sum.await?, 55);
/// # Ok::<_, tapio::task::JoinError>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Handle::spawn_on_current(future)
}

/// Runs a call that blocks on a thread kept for that.
///
/// The pool grows to `max_blocking_threads` (512 by default); calls beyond
/// that wait in line. A call that has begun cannot be aborted.
///
/// # Panics
/// Outside of a runtime, or when the system gives the pool no first thread.
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    spawn_blocking_at(f, Location::caller())
}

/// As [`spawn_blocking`], for a call that somebody made at `at`.
#[track_caller]
pub(crate) fn spawn_blocking_at<F, R>(f: F, at: &'static Location<'static>) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    // Not asked for in the closure, where the caller is this file.
    Handle::with_current(|handle| handle.spawn_blocking_or_panic(f, at))
}

/// Runs a call that blocks on this thread, and has another thread take over
/// the tasks of this worker meanwhile.
///
/// Other branches of the same task (`join!`, `select!`) do wait. For calls
/// that may be moved, [`spawn_blocking`] is the better choice.
///
/// # Panics
/// On a `current_thread` runtime and inside of a
/// [`LocalSet`](super::LocalSet), which have nobody to take over.
#[track_caller]
pub fn block_in_place<F, R>(f: F) -> R
where
    F: FnOnce() -> R,
{
    assert!(
        context::entered() != Entered::Pinned,
        "can call blocking only when running on the multi-threaded runtime"
    );
    scheduler::block_in_place(f)
}
