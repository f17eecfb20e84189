//! The guard's threads, which run while any runtime wants them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tapio_driver::lock::Mutex;
use tapio_driver::{PerProcess, Process};

use super::engine::Engine;
use super::{advice, copier, reporter, starter};
use crate::{rounds, threads};

static GUARD: PerProcess<Mutex<Guard>> = PerProcess::new(|_| Mutex::default());

/// The threads, and for how many runtimes they run.
#[derive(Default)]
struct Guard {
    leases: usize,
    looks: Option<Running>,
    starts: Option<Running>,
}

/// A thread, and what ends it.
type Running = (JoinHandle<()>, Arc<AtomicBool>);

/// Keeps the guard running; each runtime has one.
#[derive(Debug)]
pub(crate) struct Lease(
    /// Whose guard it is.
    Process,
);

impl Lease {
    /// Starts the guard, unless it runs. Without a thread for it the runtime
    /// does without, and says so.
    pub(crate) fn new() -> Lease {
        let mut guard = GUARD.lock();
        guard.leases += 1;
        // What the guard needs of others is there before it looks.
        reporter::start();
        copier::start();
        advice::make_room();
        rounds::make_room();
        starter::make_room();
        if guard.starts.is_none() {
            guard.starts = start("tapio-starter", starter::run);
        }
        if guard.looks.is_none() {
            guard.looks = start("tapio-guard", |stop| Engine::new().run(stop));
        }
        Lease(Process::current())
    }
}

fn start(name: &str, run: fn(&AtomicBool)) -> Option<Running> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    match threads::start(name.into(), None, move || run(&seen)) {
        Ok(thread) => Some((thread, stop)),
        Err(error) => {
            tracing::warn!("no thread {name} for the guard: {error}");
            None
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.0.is_current() {
            return;
        }
        let mut guard = GUARD.lock();
        guard.leases -= 1;
        if guard.leases > 0 {
            return;
        }
        // Under the lock, so that a new guard never runs beside this one,
        // which takes no lock of ours.
        if let Some((thread, stop)) = guard.looks.take() {
            // Relaxed: the bell's lock orders it for the guard.
            stop.store(true, Ordering::Relaxed);
            rounds::ring();
            let _ = thread.join();
        }
        if let Some((thread, stop)) = guard.starts.take() {
            starter::stop(&stop);
            let _ = thread.join();
        }
        copier::finish();
        // Before anybody has a lease again, and starts it anew.
        reporter::begin_finish();
        drop(guard);
        // Its listeners may want a lease.
        reporter::finish();
        advice::say_if_asked();
    }
}
