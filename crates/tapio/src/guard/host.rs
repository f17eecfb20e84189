//! What the guard needs of a watched thread's runtime.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::report::{LimitHit, Rescue, Unobserved};

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
    /// Stuck threads that found all substitutes in use and no more allowed.
    pub(crate) substitute_limit_hits: AtomicU64,
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
            substitute_limit_hits: AtomicU64::new(0),
        }
    }
}

/// The runtime of a watched thread.
///
/// What the guard's own thread calls waits for nobody, allocates nothing and
/// frees nothing (`engine` says why).
pub(crate) trait Host: Send + Sync {
    /// Has a thread that stands by take the place of the watched one, which is
    /// stuck. Called by the guard.
    fn relieve(&self) -> Relief {
        Relief::Nothing
    }

    /// Whether the thread was relieved and has queued something since. Called
    /// by the guard.
    fn has_leftovers(&self) -> bool {
        false
    }

    /// Gives that to the others.
    fn sweep(&self) {}

    /// Has as many threads stand by as the runtime needs; what is to be said
    /// when they are not to be had.
    fn replenish(&self) -> Option<LimitHit> {
        None
    }

    /// What to say of the limit on threads that stand in, now that it is
    /// reached.
    fn limit_hit(&self) -> Option<LimitHit> {
        None
    }

    /// Whether the thread is there to run tasks at this moment: one that only
    /// stands by, or waits for one future, is not idle when it does nothing.
    /// Called by the guard.
    fn has_seat(&self) -> bool {
        false
    }

    /// What the thread does: `worker 1`, `block_on`.
    fn role(&self) -> String;

    /// What the user calls the runtime.
    fn runtime_name(&self) -> Option<Arc<str>>;

    fn counters(&self) -> &Counters;
}

/// What became of a relief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relief {
    /// Another thread has its place.
    Done,
    /// It has no place to take: it keeps nothing waiting but itself.
    Nothing,
    /// It went on in this very moment.
    Moved,
    /// The runtime was built without rescue.
    Off,
    /// As many threads stand in as may, so many; and whether that is news.
    Limit { max: usize, is_news: bool },
    /// The system gives no thread, for this reason (`errno`).
    NoThread(i32),
    /// No thread stands by at this moment; one is on its way.
    Starting,
    /// The same, and it is in the hook that the user has it call first.
    InHook,
}

impl Relief {
    /// Whether it is worth to ask again.
    pub(crate) fn may_change(self) -> bool {
        !matches!(self, Relief::Done | Relief::Nothing | Relief::Off)
    }

    pub(crate) fn to_rescue(self) -> Rescue {
        match self {
            Relief::Done => Rescue::Done,
            Relief::Nothing | Relief::Moved => Rescue::NotNeeded,
            Relief::Off => Rescue::Off,
            _ => Rescue::Failed(self.to_string()),
        }
    }
}

impl fmt::Display for Relief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Relief::Limit { max, .. } => write!(f, "max_substitutes ({max}) reached"),
            Relief::NoThread(errno) => write!(
                f,
                "the system gives no thread to stand in: {}; the limit is that of the user \
                 (ulimit -u), of the control group (pids.max), or memory",
                io::Error::from_raw_os_error(*errno)
            ),
            Relief::Starting => f.write_str("no thread stands by yet; one is on its way"),
            Relief::InHook => {
                f.write_str("the thread that is to stand in is in the on_thread_start hook still")
            }
            Relief::Done | Relief::Nothing | Relief::Moved | Relief::Off => f.write_str("no need"),
        }
    }
}
