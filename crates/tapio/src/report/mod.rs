//! What the guards have to say, and to whom.
//!
//! A [`Report`] is one thing that went wrong, with the place in the user's
//! code. [`deliver`](Report::deliver) hands it to `tracing`, to every
//! [`on_report`] function, and, in a program that set up neither, to standard
//! error: nothing is silent.
//!
//! `deliver` says who is told and when; `task` is how a report names a task;
//! every other file is one kind of report with its text.

mod advice;
mod deliver;
mod limit;
mod stall;
mod task;

use std::fmt;

pub use self::advice::{Advice, LockWait, SiteAdvice, Verdict};
pub use self::deliver::{Subscription, on_report};
pub use self::limit::LimitHit;
pub use self::stall::{Culprit, Rescue, Stall, StallCause, StallEnded};
pub use self::task::TaskInfo;

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
    /// A limit was reached.
    Limit(LimitHit),
    /// Something keeps a thread of a runtime.
    Stall(Stall),
    /// A stall is over.
    StallEnded(StallEnded),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Advice(advice) => advice.fmt(f),
            Report::Limit(limit) => limit.fmt(f),
            Report::Stall(stall) => stall.fmt(f),
            Report::StallEnded(ended) => ended.fmt(f),
        }
    }
}
