//! Where hyper's own tasks run.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use pin_project_lite::pin_project;

/// Runs hyper's futures as tasks of the Tapio runtime it is used on.
///
/// HTTP/2 needs one: hyper starts a task for each stream. A task that panics
/// takes its stream with it and nothing else; unless it is one of a service
/// served here, which is logged, the panic is reported
/// ([`tapio::guard`]). What a task returns is dropped unseen.
///
/// # Panics
///
/// [`execute`](Executor::execute) panics outside a Tapio runtime, as
/// [`tapio::spawn`] does.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TapioExecutor;

impl TapioExecutor {
    /// Creates an executor; it holds nothing.
    pub const fn new() -> Self {
        Self
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
        drop(tapio::spawn(Unheard { future }));
    }
}
