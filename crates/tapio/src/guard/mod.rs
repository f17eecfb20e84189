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
//! # Locks
//! Deadlocks, locks held for long while others wait, and locks given to futures
//! that nobody polls: see [`sync`](crate::sync).
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
//! # Panics that nobody looks at
//! A panic goes to the task's [`JoinHandle`](crate::task::JoinHandle). When
//! that is dropped and nobody has awaited it, before or after the task's end,
//! the panic is an [`UnobservedPanic`]: each is reported once, and counted in
//! [`RuntimeMetrics::num_unobserved_panics`]. That holds for every kind of
//! task: of [`spawn`](crate::spawn), `spawn_blocking` and `spawn_local`, in a
//! [`JoinSet`](crate::task::JoinSet) (which keeps the handles), and for those
//! that panic while their runtime ends. A task that was aborted has not
//! panicked, unless its destructors did. Code that tells people of a panic
//! itself goes on with it by [`resume_observed`].
//!
//! # Errors that nobody looks at
//! A task that returns a `Result` and whose handle is dropped unread loses its
//! error. Stable Rust cannot look into every type, so what is seen depends on
//! the result:
//!
//! | a task, detached by | whose result is | is reported |
//! |---|---|---|
//! | dropping the handle | no `Result`, or one with the error `Infallible` | never, at no cost |
//! | dropping the handle | `Result<T, E>` of a known type, see below | if it is an error, with its text: the first 8 of a spawn site, then those whose number is a power of two |
//! | dropping the handle | any other `Result` | once for each spawn site, as an [`UnreadResult`] with the name of the type: no error, but one would be lost |
//! | [`report_errors`](crate::task::JoinHandle::report_errors) | `Result<T, E>` with `E: Display` | if it is an error, each, with its text |
//! | awaiting the handle | any | never: the result is the caller's |
//!
//! Known types are those with `T` one of `()`, `bool`, `u64`, `usize`,
//! `(u64, u64)`, `String`, `Vec<u8>`, and `E` one of [`std::io::Error`],
//! `Box<dyn Error>` (also with `+ Send`, `+ Send + Sync`), `String`,
//! `&'static str`, [`std::fmt::Error`], [`JoinError`](crate::task::JoinError).
//! Their errors are counted in [`RuntimeMetrics::num_unobserved_errors`], each.
//!
//! An error of a task that was told to end before it did (`abort`, a dropped
//! `JoinSet`, the end of its runtime) is nobody's loss and is not reported,
//! while a panic is.
//! A task whose errors do not matter should say so and return nothing:
//! `spawn(async { let _ = work().await; })`.
//!
//! # Ends that take long
//! When the deadline of
//! [`shutdown_timeout`](crate::runtime::Runtime::shutdown_timeout) passes, and
//! when dropping a runtime takes long, a [`ShutdownWaits`] lists the tasks and
//! blocking calls that still run by the places at which they were spawned.
//!
//! [`RuntimeMetrics::num_unobserved_panics`]: crate::runtime::RuntimeMetrics::num_unobserved_panics
//! [`RuntimeMetrics::num_unobserved_errors`]: crate::runtime::RuntimeMetrics::num_unobserved_errors
//!
// Reading order: `host` is what a watched thread's runtime offers; `entry`
// lists watched threads; `eye` remembers one of them, with `sight`, which
// judges what it does, and `span`, which knows for how long; `engine` is the
// thread that looks, at moments that `jitter` spreads; `starter` is the thread
// that starts others; `copier` is the one that comes by stacks, each as in
// `copying`, and `reporter` the one that finds words, with `groups`, which knows
// what was said already, and `std_locks`, which sees circles of them; `lease`
// starts and ends them all; `advice` adds up what was seen by spawn site.

mod advice;
mod copier;
mod copying;
mod engine;
mod entry;
mod eye;
mod groups;
mod host;
mod jitter;
mod lease;
mod reporter;
mod sight;
mod span;
mod starter;
mod std_locks;

pub use self::advice::{advice, reset_advice};
pub use crate::report::{
    Advice, CallbackPanic, Culprit, Deadlock, DeadlockParty, Futurelock, GroupFailuresLost,
    GuardHeldUp, LimitHit, LockHeld, LockInfo, LockKind, LockReleased, LockUse, LockUser, LockWait,
    Report, Rescue, ShutdownWaits, SiteAdvice, SiteKind, Stall, StallCause, StallEnded, StdLock,
    StdLockParty, Subscription, TaskInfo, UnobservedError, UnobservedPanic, UnreadResult, Verdict,
    lock_budget, note_panic_places, on_report, resume_observed, set_lock_budget,
};

pub use crate::stack::{Frame, Origin, Stack};
pub use crate::thread_state::Syscall;

pub(crate) use self::advice::ask_for_advice;
pub(crate) use self::entry::{Watching, watch_thread};
pub(crate) use self::host::{Counters, Host, Relief, Settings};
pub(crate) use self::lease::Lease;
pub(crate) use self::starter::call as call_starter;
