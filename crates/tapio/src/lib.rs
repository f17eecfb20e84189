//! An asynchronous I/O runtime for Linux.
//!
//! Your program asks the kernel for something and goes on; when it is done,
//! the kernel taps your program on the shoulder. Tapio is the piece in
//! between. Its names, signatures and semantics are tokio's, and its I/O
//! traits *are* tokio's, so programs and libraries written for tokio's stable
//! API run on it.
//!
//! # Finding your way
//! - [`spawn`] and [`task`]: tasks, blocking calls, task sets and groups
//! - [`cpu`]: computation, on threads of its own
//! - [`promise`](mod@promise): values that somebody else brings, callbacks
//! - [`time`]: sleep, timeout, interval
//! - [`net`]: TCP, UDP, Unix sockets
//! - [`io`]: the traits, and [`io::unix::AsyncFd`] for other descriptors
//! - [`sync`]: locks and channels
//! - [`guard`]: what goes wrong in asynchronous programs, seen and said
//! - [`signal`]: ctrl-c and its like
//! - [`runtime`]: building and ending a runtime by hand
//! - [`main`] and [`test`](macro@test): runtimes by attribute
//!
//! # Crates that call tokio's `spawn` themselves
//! With the feature `compat`, the context of a tokio runtime on a thread of
//! its own is entered on every worker, so that such crates (axum's `ws`, for
//! one) work. What they spawn runs on that thread.
//!
//! # The driver
//! Workers wait for sockets by `epoll`. `TAPIO_DRIVER=ring|poll` or
//! [`runtime::Builder::driver`] says whether operations, such as those on
//! files, may use `io_uring`; there are none yet.

mod blocking;
mod callback;
mod capture;
mod cell;
#[cfg(feature = "compat")]
mod compat;
#[cfg(not(feature = "compat"))]
#[path = "compat_none.rs"]
mod compat;
mod context;
mod coop;
mod main_future;
mod post;
mod report;
mod rounds;
mod scheduler;
mod slice;
mod stack;
mod sync_facade;
mod tally;
mod task_id;
mod thread_parker;
mod thread_state;
mod threads;
mod watched;
mod wheel;

pub mod cpu;
pub mod guard;
pub mod io;
pub mod net;
pub mod promise;
pub mod runtime;
pub mod signal;
pub mod sync;
pub mod task;
pub mod time;

pub use tapio_macros::{main, test};
pub use tokio::{join, pin, select, try_join};

pub use crate::promise::promise;
pub use crate::task::spawn;
