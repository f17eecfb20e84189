//! Builds the runtime that everything else runs on.

use std::io;

use tapio::runtime::{Builder, DriverKind, Runtime};

use crate::config::Driver;

/// Builds a multi-threaded runtime with `workers` threads (one for each core without a choice)
/// on `driver` (what the kernel allows, without a choice).
///
/// # Errors
///
/// What the operating system refused, threads for instance, or a `TAPIO_DRIVER` that is no driver.
pub(crate) fn build_runtime(workers: Option<usize>, driver: Option<Driver>) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().thread_name("hangout-worker");
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    if let Some(driver) = driver {
        builder.driver(match driver {
            Driver::Ring => DriverKind::Ring,
            Driver::Poll => DriverKind::Poll,
        });
    }
    builder.build()
}
