//! A tokio runtime beside ours, for crates that call tokio's `spawn` by
//! themselves.
//!
//! Such a crate (axum's `ws`, for one) panics where no tokio runtime was
//! entered. With the feature `compat` each of our runtimes keeps one tokio
//! runtime on a thread of its own and enters its context on every thread of
//! ours. What such a crate spawns runs over there; what you want to run here,
//! hand to [`Handle::spawn`](crate::runtime::Handle::spawn). The thread sleeps
//! while nothing is spawned on it.

use std::fmt;
use std::io;
use std::thread::JoinHandle;

use tapio_driver::lock::Mutex;
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;

use crate::threads;

/// The tokio runtime beside one of ours.
pub(crate) struct Compat {
    handle: Handle,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// `future`, beyond the budget of the tokio task that it may be polled in.
pub(crate) fn unbudgeted<F>(future: F) -> tokio::task::Unconstrained<F> {
    tokio::task::unconstrained(future)
}

impl Compat {
    pub(crate) fn start() -> io::Result<Compat> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = threads::start("tapio-compat".into(), None, move || {
            // An error means that the sender is gone: the end as well.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Compat {
            handle,
            running: Mutex::new(Some(Running { stop, thread })),
        })
    }

    /// Enters the tokio runtime on this thread until the guard is dropped.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Ends the tokio runtime with what it runs, and its thread.
    pub(crate) fn shut_down(&self) {
        let running = self.running.lock().take();
        if let Some(Running { stop, thread }) = running {
            let _ = stop.send(());
            // The last handle may be dropped by what runs over there.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl fmt::Debug for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compat").finish_non_exhaustive()
    }
}
