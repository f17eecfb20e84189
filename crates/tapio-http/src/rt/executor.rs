//! Where hyper's own tasks run.

use std::future::Future;

use hyper::rt::Executor;

/// Runs hyper's futures as tasks of the Tapio runtime it is used on.
///
/// HTTP/2 needs one: hyper starts a task for each stream. A task that panics
/// takes its stream with it and nothing else.
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

impl<F> Executor<F> for TapioExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        // Nobody waits for the task: its end is visible to its stream.
        drop(tapio::spawn(future));
    }
}
