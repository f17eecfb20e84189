//! Which core a process runs on: server and load must not share one.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The core of whatever is measured.
pub(crate) const MEASURED_CORE: usize = 0;
/// The core of the load generator.
pub(crate) const LOAD_CORE: usize = 1;

/// Binds the calling thread, and every thread it starts later, to `core`.
///
/// # Errors
/// The core does not exist or is not allowed.
pub(crate) fn to_core(core: usize) -> Result<(), String> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|error| format!("cannot bind to core {core}: {error}"))
}

/// How many cores this process may use.
pub(crate) fn allowed() -> usize {
    sched_getaffinity(None).map_or(1, |cores| cores.count() as usize)
}
