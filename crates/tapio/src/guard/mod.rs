//! What goes wrong in asynchronous programs, seen and said: stalls,
//! deadlocks, lost errors and panics.
//!
//! # Stalls
//! A task that computes or waits in a system call keeps its worker from
//! everything else. One thread of the runtime's watches for that: a poll that
//! takes longer than the budget (10 ms;
//! [`Builder::stall_budget`](crate::runtime::Builder::stall_budget),
//! `TAPIO_STALL_MS`) is a [`Stall`]. Then another thread takes the worker's
//! place, so that the other tasks go on, and a [`Report`] names the task,
//! where it was spawned and the line that it is stuck on.
//!
//! Reports go to `tracing` (target `tapio::guard`) and to [`on_report`]
//! functions; in a program that has set up neither, to standard error.
//!
//! # Advice
//! Async is for waiting. [`advice`] says, by the places that tasks were spawned
//! at, where a program uses it for something else: which compute, which call
//! what blocks, which wait mostly for one lock, and which are fine.
//! `TAPIO_ADVICE=1` prints it when the last runtime ends.
//!
// Reading order: `host` is what a watched thread's runtime offers; `entry`
// lists watched threads; `eye` judges one of them; `engine` is the thread
// that looks, at moments that `jitter` spreads; `reporter` is the thread that
// finds words; `advice` adds up what was seen by spawn site.

mod advice;
mod engine;
mod entry;
mod eye;
mod host;
mod jitter;
mod reporter;

pub use self::advice::{advice, reset_advice};
pub use crate::report::{
    Advice, Culprit, LimitHit, LockWait, Report, Rescue, SiteAdvice, Stall, StallCause, StallEnded,
    Subscription, TaskInfo, Verdict, on_report,
};

pub use crate::stack::{Frame, Origin, Stack};
pub use crate::thread_state::Syscall;

pub(crate) use self::advice::ask_for_advice;
pub(crate) use self::engine::Lease;
pub(crate) use self::entry::{Watching, watch_thread};
pub(crate) use self::host::{Counters, Host, Relief, Settings};
