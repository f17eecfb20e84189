//! The result of a computation, to come.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::OwnedSemaphorePermit;

use crate::callback::{self, Origin};
use crate::cell::{JoinError, JoinHandle};
use crate::task_id::Id;

/// The result of a computation, as a future: of [`spawn`](super::spawn) and
/// [`try_spawn`](super::try_spawn).
///
/// Dropping it cancels a computation that has not begun, and drops it here
/// and now. One that has begun goes on; nobody hears its result, but a panic
/// is reported as that of a task.
///
/// # Errors
/// A [`JoinError`], when it panicked or was aborted.
///
/// # Cancel safety
/// Waiting by reference (`&mut handle`) loses nothing when dropped.
#[must_use = "a computation whose handle is dropped is cancelled unless it has begun"]
pub struct CpuHandle<R> {
    id: Id,
    stage: Stage<R>,
}

type Place = Pin<Box<dyn Future<Output = OwnedSemaphorePermit> + Send>>;
type Submit<R> = Box<dyn FnOnce(OwnedSemaphorePermit) -> JoinHandle<R> + Send>;

enum Stage<R> {
    /// There was no place in line.
    Waiting(Place, Submit<R>),
    InLine(JoinHandle<R>),
    /// Aborted before it was in line.
    Aborted,
}

impl<R> CpuHandle<R> {
    pub(super) fn started(id: Id, handle: JoinHandle<R>) -> CpuHandle<R> {
        CpuHandle {
            id,
            stage: Stage::InLine(handle),
        }
    }

    pub(super) fn waiting(
        id: Id,
        place: Place,
        submit: impl FnOnce(OwnedSemaphorePermit) -> JoinHandle<R> + Send + 'static,
    ) -> CpuHandle<R> {
        CpuHandle {
            id,
            stage: Stage::Waiting(place, Box::new(submit)),
        }
    }

    /// Cancels the computation unless it has begun. Awaiting the handle then
    /// gives a [`JoinError`] that is cancelled.
    pub fn abort(&mut self) {
        match &self.stage {
            Stage::InLine(handle) => handle.shut_down(),
            Stage::Waiting(..) => self.stage = Stage::Aborted,
            Stage::Aborted => {}
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.stage {
            Stage::InLine(handle) => handle.is_finished(),
            Stage::Waiting(..) => false,
            Stage::Aborted => true,
        }
    }

    /// The computation's id, which [`task::id`](crate::task::id) gives inside.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Calls `callback` with the result; see [`JoinHandle::on_complete`].
    #[track_caller]
    pub fn on_complete<F>(self, callback: F)
    where
        R: Send + 'static,
        F: FnOnce(Result<R, JoinError>) + Send + 'static,
    {
        let origin = Origin {
            called_by: "CpuHandle::on_complete",
            given_at: Location::caller(),
            task: self.id.get(),
        };
        callback::when_ready(self, callback, origin);
    }
}

impl<R> Future for CpuHandle<R> {
    type Output = Result<R, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Waiting(place, _) = &mut self.stage {
            let place = ready!(place.as_mut().poll(cx));
            if let Stage::Waiting(_, submit) = std::mem::replace(&mut self.stage, Stage::Aborted) {
                self.stage = Stage::InLine(submit(place));
            }
        }
        match &mut self.stage {
            Stage::InLine(handle) => Pin::new(handle).poll(cx),
            Stage::Aborted | Stage::Waiting(..) => Poll::Ready(Err(JoinError::cancelled(self.id))),
        }
    }
}

impl<R> Drop for CpuHandle<R> {
    fn drop(&mut self) {
        if let Stage::InLine(handle) = &self.stage {
            handle.shut_down();
        }
    }
}

impl<R> fmt::Debug for CpuHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuHandle")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
