//! Figures about a runtime.

use std::sync::atomic::Ordering;

use super::{DriverKind, Handle};

/// Figures about a runtime, read when asked.
#[derive(Clone, Debug)]
pub struct RuntimeMetrics {
    handle: Handle,
}

impl RuntimeMetrics {
    pub(super) fn new(handle: Handle) -> RuntimeMetrics {
        RuntimeMetrics { handle }
    }

    /// How many seats there are for workers.
    #[must_use]
    pub fn num_workers(&self) -> usize {
        self.handle.shared.workers()
    }

    /// How many tasks are alive.
    #[must_use]
    pub fn num_alive_tasks(&self) -> usize {
        self.handle.shared.census().0
    }

    /// How many timers are set.
    #[must_use]
    pub fn num_timers(&self) -> usize {
        self.handle.shared.census().1
    }

    /// How many kernel operations and registrations are in flight for sockets.
    #[must_use]
    pub fn num_watches(&self) -> usize {
        self.handle.shared.census().2
    }

    /// How many threads serve blocking calls now.
    #[must_use]
    pub fn num_blocking_threads(&self) -> usize {
        self.handle.shared.pool.counts().0
    }

    /// How many blocking calls wait in line.
    #[must_use]
    pub fn blocking_queue_depth(&self) -> usize {
        self.handle.shared.pool.counts().1
    }

    /// How many stalls the guard has seen: polls that took longer than the
    /// budget.
    #[must_use]
    pub fn num_stalls(&self) -> u64 {
        self.handle.shared.counters.stalls.load(Ordering::Relaxed)
    }

    /// How many polls took longer than the budget only since others had the
    /// CPUs. They are not reported.
    #[must_use]
    pub fn num_starved(&self) -> u64 {
        self.handle.shared.counters.starved.load(Ordering::Relaxed)
    }

    /// How often another thread took the place of a stuck one.
    #[must_use]
    pub fn num_rescues(&self) -> u64 {
        self.handle.shared.counters.rescues.load(Ordering::Relaxed)
    }

    /// How many blocking calls had to wait in line since
    /// [`max_blocking_threads`](super::Builder::max_blocking_threads) allowed
    /// no more threads.
    #[must_use]
    pub fn num_blocking_limit_hits(&self) -> u64 {
        let counters = &self.handle.shared.counters;
        counters.blocking_limit_hits.load(Ordering::Relaxed)
    }

    /// How many stuck workers, and calls of `block_in_place`, found that as
    /// many threads stood in already as
    /// [`max_substitutes`](super::Builder::max_substitutes) allows.
    #[must_use]
    pub fn num_substitute_limit_hits(&self) -> u64 {
        let counters = &self.handle.shared.counters;
        counters.substitute_limit_hits.load(Ordering::Relaxed)
    }

    /// How many tasks and blocking calls panicked without anybody looking at
    /// their handles. Tasks of a [`LocalSet`](crate::task::LocalSet) count
    /// here if the thread was inside of this runtime when the handle, or the
    /// task, went.
    #[must_use]
    pub fn num_unobserved_panics(&self) -> u64 {
        let counters = &self.handle.shared.counters;
        counters.unobserved_panics.load(Ordering::Relaxed)
    }

    /// How many tasks and blocking calls ended in an error without anybody
    /// looking at their handles, as far as
    /// [that can be seen](crate::guard#errors-that-nobody-looks-at), and how
    /// many that were detached with
    /// [`report_errors`](crate::task::JoinHandle::report_errors).
    #[must_use]
    pub fn num_unobserved_errors(&self) -> u64 {
        let counters = &self.handle.shared.counters;
        counters.unobserved_errors.load(Ordering::Relaxed)
    }

    /// How operations, such as those on files, are done: by `io_uring`, unless
    /// that was not wanted or is refused.
    ///
    /// # Cost
    /// The first call, unless an operation came before, asks the kernel, on a
    /// thread that is started for that.
    #[must_use]
    pub fn driver(&self) -> DriverKind {
        self.handle.shared.operations().0
    }

    /// Why operations are done without `io_uring`, if that was refused. Asks
    /// the kernel as [`RuntimeMetrics::driver`] does.
    #[must_use]
    pub fn driver_refusal(&self) -> Option<String> {
        let (_, refusal) = self.handle.shared.operations();
        refusal.as_ref().map(ToString::to_string)
    }
}
