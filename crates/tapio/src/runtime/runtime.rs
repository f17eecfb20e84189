//! A runtime, and its end.

use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use super::{Builder, EnterGuard, Handle, RuntimeMetrics};
use crate::cell::JoinHandle;
use crate::context::{self, Entered};
use crate::guard::Lease;
use crate::report::{Report, ShutdownWaits, by_site};
use crate::scheduler::Flavor;

/// After so long a wait in `drop` one report says who is waited for.
const LONG: Duration = Duration::from_secs(5);

/// A runtime: workers, timers, sockets.
///
/// Dropping it ends its tasks at their next await point and waits for blocking
/// calls that have begun; [`Runtime::shutdown_timeout`] waits for a bounded
/// time. A wait of more than five seconds is reported once, with the places at
/// which what is waited for was spawned
/// ([`Report::Shutdown`](crate::guard::Report::Shutdown)).
///
/// # After `fork`
/// A child has its parent's memory, but of its threads only the one that forked.
/// So a runtime belongs to the process that built it:
///
/// - A child may build a runtime of its own, wherever its parent forked: also in
///   the middle of a task. The guard, signals and the pools are started anew for
///   it. Functions given to [`on_report`](crate::guard::on_report) stay.
/// - With an inherited runtime `spawn`, `spawn_blocking`, `block_on`, `enter`
///   and timers panic, and sockets that would have to wait give an error; each
///   says that the runtime is the parent's. A
///   [`JoinHandle`](crate::task::JoinHandle) gives a `JoinError` that is
///   cancelled.
/// - To drop what is inherited is harmless. A socket is closed in the child and
///   goes on in the parent; a runtime or a `LocalSet` is let go of, while its
///   tasks, and the child's copies of their sockets, stay until the child ends
///   or calls `exec`.
/// - A child must not return into its parent's tasks. `block_on` panics there;
///   the thread of a worker, of a blocking call or of [`cpu`](crate::cpu)
///   aborts the child with words. The future of `block_on` itself may return.
/// - What other threads of the parent may have locked at that moment is locked
///   in the child for ever: locks, channels and sets of tasks that the child
///   goes on using should be the forking thread's alone.
///
/// A child by a bare `clone`, without the C library's `fork`, is not noticed.
///
/// # Examples
/// ```
/// let runtime = tapio::runtime::Runtime::new()?;
/// assert_eq!(runtime.block_on(async { 40 + 2 }), 42);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Runtime {
    handle: Handle,
    /// How long dropping waits; `None` for as long as it takes.
    patience: Option<Duration>,
    /// Keeps the guard, until the end of all.
    _lease: Option<Lease>,
}

impl Runtime {
    /// A runtime with a worker for each core, everything enabled.
    ///
    /// # Errors
    /// When threads, descriptors or memory are not to be had.
    pub fn new() -> io::Result<Runtime> {
        Builder::new_multi_thread().enable_all().build()
    }

    pub(super) fn new_leased(handle: Handle, lease: Option<Lease>) -> Runtime {
        Runtime {
            handle,
            patience: None,
            _lease: lease,
        }
    }

    /// A handle, which may be cloned and sent anywhere.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task. On a `current_thread` runtime it runs while somebody is
    /// in [`Runtime::block_on`].
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a call that blocks on the pool for that.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(f)
    }

    /// Runs a future on this thread to its end. Workers go on between calls;
    /// a `current_thread` runtime works only during them.
    ///
    /// # Panics
    /// Inside of asynchronous code, or when the future panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on_driving(future)
    }

    /// Enters the runtime on this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Figures about this runtime.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Ends the runtime, waiting at most `limit` for tasks' polls and blocking
    /// calls that have begun. What then still runs is left to itself, and
    /// reported by where it was spawned
    /// ([`Report::Shutdown`](crate::guard::Report::Shutdown)).
    pub fn shutdown_timeout(mut self, limit: Duration) {
        self.patience = Some(limit);
    }

    /// Ends the runtime without waiting, and without a word on what still
    /// runs.
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let shared = &self.handle.shared;
        if !shared.process.is_current() {
            // The parent's: its tasks go on there, and its threads are not here.
            return;
        }
        let is_inside = context::entered() != Entered::Outside;
        if is_inside && self.patience != Some(Duration::ZERO) && !std::thread::panicking() {
            // Ended all the same, in the background, before the panic.
            shared.stop();
            panic!(
                "Cannot drop a runtime in a context where blocking is not allowed. This happens \
                 when a runtime is dropped from within an asynchronous context."
            );
        }
        match shared.flavor() {
            Flavor::MultiThread => shared.stop(),
            Flavor::CurrentThread => {
                // Tasks are dropped inside their runtime, as they ran. Not so
                // when the runtime is a thread-local value itself.
                let _entered = self.handle.try_enter_owned();
                shared.close_current();
            }
        }
        shared.compat.shut_down();
        let patience = if is_inside {
            Some(Duration::ZERO)
        } else {
            self.patience
        };
        let mut has_ended = shared.pool.shut_down(Some(patience.unwrap_or(LONG)));
        if !has_ended && patience != Some(Duration::ZERO) {
            self.report_wait(patience);
            if patience.is_none() {
                has_ended = shared.pool.shut_down(None);
            }
        }
        if has_ended {
            self.handle.shared.drain();
        }
    }
}

impl Runtime {
    /// Says what is waited for still, or no more.
    fn report_wait(&self, patience: Option<Duration>) {
        let shared = &self.handle.shared;
        let running = shared.what_runs();
        let waits = ShutdownWaits {
            runtime: shared.name().map(Into::into),
            waited: patience.unwrap_or(LONG),
            is_deadline: patience.is_some(),
            tasks: by_site(running.tasks),
            blocking_calls: by_site(running.calls),
            others: running.others,
        };
        // It may have ended in this very moment.
        if waits.has_any() {
            Report::Shutdown(waits).deliver();
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("handle", &self.handle)
            .finish()
    }
}
