//! What the guard needs of a watched thread's runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::report::Unobserved;

/// How a runtime is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long a poll may take.
    pub(crate) budget: Duration,
    /// The signal that has a stuck thread copy its stack.
    pub(crate) signal: i32,
}

/// What went wrong on one runtime, counted.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Tells runtimes apart: the same stall in another one is news.
    pub(super) runtime: u64,
    pub(crate) stalls: AtomicU64,
    pub(crate) starved: AtomicU64,
    pub(crate) rescues: AtomicU64,
    pub(crate) unobserved_panics: AtomicU64,
    pub(crate) unobserved_errors: AtomicU64,
    /// Blocking calls that found all threads busy and no more allowed.
    pub(crate) blocking_limit_hits: AtomicU64,
}

impl Counters {
    pub(crate) fn count_unobserved(&self, what: Unobserved) {
        let count = match what {
            Unobserved::Panic => &self.unobserved_panics,
            Unobserved::Error => &self.unobserved_errors,
        };
        // Relaxed: a figure, which orders nothing.
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Counters {
    fn default() -> Counters {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Counters {
            // Relaxed: only that numbers differ matters.
            runtime: NEXT.fetch_add(1, Ordering::Relaxed),
            stalls: AtomicU64::new(0),
            starved: AtomicU64::new(0),
            rescues: AtomicU64::new(0),
            unobserved_panics: AtomicU64::new(0),
            unobserved_errors: AtomicU64::new(0),
            blocking_limit_hits: AtomicU64::new(0),
        }
    }
}

/// The runtime of a watched thread.
pub(crate) trait Host: Send + Sync {
    /// Has another thread take the place of the watched one, which is stuck.
    fn relieve(&self) -> Relief;

    /// Gives to the others what the relieved thread has queued since.
    fn sweep(&self);

    /// Whether the thread is there to run tasks at this moment: one that only
    /// stands by, or waits for one future, is not idle when it does nothing.
    fn has_seat(&self) -> bool;

    /// What the thread does: `worker 1`, `block_on`.
    fn role(&self) -> String;

    /// What the user calls the runtime.
    fn runtime_name(&self) -> Option<Arc<str>>;

    fn counters(&self) -> &Counters;
}

/// What became of a relief.
#[derive(Debug)]
pub(crate) enum Relief {
    /// Another thread has its place.
    Done,
    /// It has no place to take: it keeps nothing waiting but itself.
    Nothing,
    /// It went on in this very moment.
    Moved,
    /// The runtime was built without rescue.
    Off,
    /// As many threads stand in as may, so many.
    Limit(usize),
    /// The system gives no thread.
    NoThread(std::io::Error),
}
