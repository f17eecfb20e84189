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
// Reading order: `host` is what a watched thread's runtime offers; `entry`
// lists watched threads; `eye` judges one of them; `engine` is the thread
// that looks; `reporter` is the thread that finds words.

mod engine;
mod entry;
mod eye;
mod host;
mod reporter;

pub use crate::report::{
    Culprit, LimitHit, Report, Rescue, Stall, StallCause, StallEnded, Subscription, TaskInfo,
    on_report,
};

pub use crate::stack::{Frame, Origin, Stack};
pub use crate::thread_state::Syscall;

pub(crate) use self::engine::Lease;
pub(crate) use self::entry::{Watching, watch_thread};
pub(crate) use self::host::{Counters, Host, Relief, Settings};
