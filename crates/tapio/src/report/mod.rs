//! What the guards have to say, and to whom.
//!
//! A [`Report`] is one thing that went wrong, with the place in the user's
//! code. [`deliver`](Report::deliver) hands it to `tracing`, to every
//! [`on_report`] function, and, in a program that set up neither, to standard
//! error: nothing is silent.
//!
//! `deliver` says who is told and when; `budget` for how long a lock may be
//! kept; `task` is how a report names a task, `words` how it prints numbers;
//! every other file is one kind of report with its text.

mod advice;
mod budget;
mod callback;
mod deadlock;
mod deliver;
mod group;
mod held_up;
mod limit;
mod lock;
mod observed;
mod place;
mod shutdown;
mod sites;
mod stall;
mod stall_text;
mod std_lock;
mod task;
mod unobserved;
mod words;

use std::fmt;

use tracing::Level;

pub use self::advice::{Advice, LockWait, SiteAdvice, SiteKind, Verdict};
pub(crate) use self::budget::LOCK_BUDGET;
pub use self::budget::{lock_budget, set_lock_budget};
pub use self::callback::CallbackPanic;
pub use self::deadlock::{Deadlock, DeadlockParty};
pub use self::deliver::{Subscription, on_report};
pub use self::group::GroupFailuresLost;
pub use self::held_up::GuardHeldUp;
pub use self::limit::LimitHit;
pub use self::lock::{Futurelock, LockHeld, LockInfo, LockKind, LockReleased, LockUse, LockUser};
pub use self::observed::resume_observed;
pub use self::place::note_panic_places;
pub use self::shutdown::ShutdownWaits;
pub use self::stall::{Culprit, Rescue, Stall, StallCause, StallEnded};
pub use self::std_lock::{StdLock, StdLockParty};
pub use self::task::TaskInfo;
pub use self::unobserved::{UnobservedError, UnobservedPanic, UnreadResult};

pub(crate) use self::deadlock::Doubts;
pub(crate) use self::observed::take_observed;
pub(crate) use self::place::{message_of, take_panic_place};
pub(crate) use self::shutdown::by_site;
pub(crate) use self::unobserved::Unobserved;

/// One thing that went wrong, or is about to, and where.
///
/// It prints as the text that goes to the log: what, where, and one line on
/// what to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Report {
    /// What the guard would change, at the end of the last runtime, if
    /// `TAPIO_ADVICE=1` asks for it.
    Advice(Advice),
    /// A callback panicked.
    CallbackPanic(CallbackPanic),
    /// A task group failed, and nobody was told.
    GroupFailuresLost(GroupFailuresLost),
    /// The guard was kept from looking, and something ended meanwhile.
    GuardHeldUp(GuardHeldUp),
    /// A limit was reached.
    Limit(LimitHit),
    /// A runtime ends, and something on it does not.
    Shutdown(ShutdownWaits),
    /// Something keeps a thread of a runtime.
    Stall(Stall),
    /// A stall is over.
    StallEnded(StallEnded),
    /// An error that nobody looked at.
    UnobservedError(UnobservedError),
    /// A panic that nobody looked at.
    UnobservedPanic(UnobservedPanic),
    /// A result that nobody looked at, and that may be an error.
    UnreadResult(UnreadResult),
    /// Tasks wait for locks that none but they hold.
    Deadlock(Deadlock),
    /// A lock was given to a future that nobody polls.
    Futurelock(Futurelock),
    /// A lock was held for long while others wait.
    LockHeld(LockHeld),
    /// And is so no longer.
    LockReleased(LockReleased),
}

impl Report {
    /// How loud it is in the log: what nobody waits for, and what was asked
    /// for, is no warning.
    fn level(&self) -> Level {
        match self {
            // Nothing is known to have gone wrong.
            Report::Advice(_) | Report::UnreadResult(_) => Level::INFO,
            Report::Stall(stall) if stall.is_alone() => Level::INFO,
            Report::StallEnded(ended) if ended.is_alone => Level::INFO,
            _ => Level::WARN,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Advice(advice) => advice.fmt(f),
            Report::CallbackPanic(panic) => panic.fmt(f),
            Report::GroupFailuresLost(lost) => lost.fmt(f),
            Report::GuardHeldUp(held_up) => held_up.fmt(f),
            Report::Limit(limit) => limit.fmt(f),
            Report::Shutdown(waits) => waits.fmt(f),
            Report::Stall(stall) => stall.fmt(f),
            Report::StallEnded(ended) => ended.fmt(f),
            Report::UnobservedError(error) => error.fmt(f),
            Report::UnobservedPanic(panic) => panic.fmt(f),
            Report::UnreadResult(result) => result.fmt(f),
            Report::Deadlock(deadlock) => deadlock.fmt(f),
            Report::Futurelock(futurelock) => futurelock.fmt(f),
            Report::LockHeld(held) => held.fmt(f),
            Report::LockReleased(released) => released.fmt(f),
        }
    }
}
