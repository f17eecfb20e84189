//! Making tasks.

#![expect(unsafe_code, reason = "a new task's references are counted by hand")]

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::join::JoinHandle;
use super::layout::{Cell, Schedule};
use super::raw::{Notified, TaskRef};
use crate::coop;
use crate::task_id::Id;

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
