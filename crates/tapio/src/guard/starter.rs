//! The thread that has more threads started, and gives away what relieved ones
//! have queued since.
//!
//! To start a thread is to wait for others: for the kernel's lock on the
//! memory map, which a stuck task may hold for as long as it maps memory, for
//! the loader's, for the allocator's. So the guard starts none. It has threads
//! that stand by take the stuck ones' places, and calls this one, which is
//! there from the start, to have others stand by instead.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tapio_driver::PerProcess;

use super::{advice, copier, entry, reporter};

static BELL: PerProcess<Bell> = PerProcess::new(|_| Bell::default());

/// The standard library's locks: `engine` says why.
#[derive(Default)]
struct Bell {
    has_rung: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes what the guard must not allocate.
pub(super) fn make_room() {
    let _ = BELL.get();
}

/// Has the starter look after everything soon. Waits for nobody.
pub(crate) fn call() {
    let mut has_rung = BELL.lock();
    if !*has_rung {
        *has_rung = true;
        BELL.rung.notify_one();
    }
}

/// The life of the thread.
pub(super) fn run(stop: &AtomicBool) {
    let mut entries = Vec::new();
    // Relaxed: the bell's lock orders it.
    while !stop.load(Ordering::Relaxed) {
        entry::copy_to(&mut entries);
        // First what waits already.
        for entry in &entries {
            entry.host.sweep();
        }
        for entry in &entries {
            if let Some(limit) = entry.host.replenish() {
                reporter::say(limit);
            }
        }
        entries.clear();
        reporter::start();
        copier::start();
        advice::make_room();
        let has_rung = BELL.lock();
        let waited = BELL.rung.wait_while(has_rung, |has_rung| !*has_rung);
        *waited.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

/// A flag for [`run`], and for whoever ends it.
pub(super) fn stop(flag: &Arc<AtomicBool>) {
    flag.store(true, Ordering::Relaxed);
    call();
}
