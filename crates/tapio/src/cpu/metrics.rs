//! Figures about the pool.

use std::sync::atomic::Ordering;

use super::pool::Pool;

/// Figures about the pool, of one moment, and since its start.
///
/// [`join`](super::join) and [`scope`](super::scope) are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuMetrics {
    /// Threads; zero before the pool has started.
    pub threads: usize,
    /// Calls that may be in line: `cpu_queue_max`.
    pub queue_max: usize,
    /// Calls in line now. One that was cancelled keeps its place until a
    /// thread comes by it.
    pub queued: usize,
    /// Calls that run now.
    pub running: u64,
    /// Calls that returned.
    pub done: u64,
    /// Calls that panicked.
    pub panicked: u64,
    /// Calls that were dropped before they began.
    pub cancelled: u64,
    /// How often there was no place in line.
    pub full: u64,
}

/// Figures about the pool.
#[must_use]
pub fn metrics() -> CpuMetrics {
    let Some(pool) = Pool::started() else {
        return CpuMetrics::default();
    };
    let counters = &pool.counters;
    // Relaxed, all: figures that need not agree with each other.
    CpuMetrics {
        threads: pool.config.threads,
        queue_max: pool.config.queue_max,
        queued: pool.queued(),
        running: counters.running.load(Ordering::Relaxed),
        done: counters.done.load(Ordering::Relaxed),
        panicked: counters.panicked.load(Ordering::Relaxed),
        cancelled: counters.cancelled.load(Ordering::Relaxed),
        full: counters.full.load(Ordering::Relaxed),
    }
}
