//! Where hyper's own tasks run.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tapio::task::Builder;

/// Runs hyper's futures as tasks of the Tapio runtime it is used on.
///
/// HTTP/2 needs one: hyper starts a task for each stream. A task that panics
/// takes its stream with it and nothing else; unless it is one of a service
/// served here, which is logged, the panic is reported
/// ([`tapio::guard`]). What a task returns is dropped unseen. Reports name the
/// line that made the executor as the place at which its tasks were spawned.
///
/// # Panics
///
/// [`execute`](Executor::execute) panics outside a Tapio runtime, as
/// [`tapio::spawn`] does.
#[derive(Clone, Copy, Debug)]
pub struct TapioExecutor {
    made_at: &'static Location<'static>,
}

impl TapioExecutor {
    /// Creates an executor; it holds nothing but the place of this call.
    #[track_caller]
    pub const fn new() -> Self {
        Self {
            made_at: Location::caller(),
        }
    }
}

impl Default for TapioExecutor {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

pin_project! {
    /// A future whose output, an error or not, is nobody's.
    struct Unheard<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unheard<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().future.poll(cx).map(drop)
    }
}

impl<F> Executor<F> for TapioExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        // Nobody waits for the task: its end is visible to its stream.
        let task = Builder::new()
            .spawned_at(self.made_at)
            .spawn(Unheard { future });
        drop(task);
    }
}
