//! Builds the runtime that everything else runs on, and is `tapio::runtime` to it.

use std::{future::Future, io};

use tokio::{
    runtime::{self, Builder, Runtime},
    task::JoinHandle,
};

/// Builds a multi-threaded runtime with `workers` threads; in the build that has tokio's unstable
/// features, with the eager hand-off of its driver.
pub(crate) fn build_runtime(workers: Option<usize>) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_name("hangout-worker");
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    #[cfg(tokio_unstable)]
    builder.enable_eager_driver_handoff();
    builder.build()
}

/// tokio's handle, with the one thing that it does not have: the name of its driver.
#[derive(Debug, Clone)]
pub(crate) struct Handle(runtime::Handle);

/// What hangout asks of a runtime's metrics.
#[derive(Debug)]
pub(crate) struct Metrics;

impl Handle {
    pub(crate) fn new(handle: runtime::Handle) -> Self {
        Self(handle)
    }

    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.spawn(future)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        Metrics
    }
}

impl Metrics {
    pub(crate) fn driver(&self) -> &'static str {
        "tokio"
    }
}
