//! Builds the runtime that everything else runs on.

use std::io;

use tapio::runtime::{Builder, Runtime};

use crate::config::Driver;

/// Builds a multi-threaded runtime with `workers` threads (one for each core without a choice).
///
/// # Errors
///
/// What the operating system refused, threads for instance.
pub(crate) fn build_runtime(workers: Option<usize>, driver: Option<Driver>) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_name("hangout-worker");
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    // The stand-in runtime has one driver only; the choice is passed on once there are two.
    let _ = driver;
    builder.build()
}
