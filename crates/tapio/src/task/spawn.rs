//! Making tasks.

#![expect(unsafe_code, reason = "a new task's references are counted by hand")]

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::cell::{Cell, Schedule};
use super::id::Id;
use super::join::JoinHandle;
use super::raw::{Notified, TaskRef};
use crate::context::{self, Entered};
use crate::coop;
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
    Handle::with_current(|handle| handle.spawn_blocking(f))
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

/// A task with its three references: the owning list's, the first
/// notification, the join handle.
pub(crate) fn new_task<F, S>(
    future: F,
    scheduler: S,
    id: Id,
    at: &'static Location<'static>,
) -> (TaskRef, Notified, JoinHandle<F::Output>)
where
    F: Future + 'static,
    S: Schedule,
{
    let header = Cell::allocate(future, scheduler, id, at, 3);
    // SAFETY: three references were counted, and each is made here once; the
    // handle's type is the future's output.
    unsafe {
        (
            TaskRef::from_raw(header),
            Notified::from_raw(header),
            JoinHandle::new(TaskRef::from_raw(header)),
        )
    }
}

/// A task that calls `f` when first polled, with two references: no list owns
/// it.
pub(crate) fn new_blocking_task<F, R, S>(
    f: F,
    scheduler: S,
    id: Id,
    at: &'static Location<'static>,
) -> (Notified, JoinHandle<R>)
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
    S: Schedule,
{
    let header = Cell::allocate(Call(Some(f)), scheduler, id, at, 2);
    // SAFETY: as in `new_task`, with two references.
    unsafe {
        (
            Notified::from_raw(header),
            JoinHandle::new(TaskRef::from_raw(header)),
        )
    }
}

struct Call<F>(Option<F>);

impl<F> Unpin for Call<F> {}

impl<F: FnOnce() -> R, R> Future for Call<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        let f = self.0.take().expect("a blocking call is polled once");
        Poll::Ready(coop::with_unlimited(f))
    }
}
