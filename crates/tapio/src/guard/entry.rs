//! The threads that are watched.

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Instant;

use tapio_driver::lock::Mutex;
use tapio_driver::{PerProcess, Process};

use super::advice::{self, Gaze};
use super::eye::Eye;
use super::host::{Host, Settings};
use crate::capture::Target;
use crate::context::{self, PostGuard};
use crate::post::Post;
use crate::rounds;
use crate::tally::Tally;

/// Held by the guard while it looks, and by others for moments in which they
/// neither allocate nor free. The standard library's lock: `engine` says why.
static ENTRIES: PerProcess<StdMutex<Vec<Arc<Entry>>>> = PerProcess::new(|_| StdMutex::default());

/// Room in the list of entries, to begin with.
const ROOM: usize = 64;

/// A watched thread.
pub(super) struct Entry {
    pub(super) post: Arc<Post>,
    /// What its tasks did.
    pub(super) tally: Arc<Tally>,
    pub(super) host: Box<dyn Host>,
    pub(super) settings: Settings,
    pub(super) target: Target,
    pub(super) thread: Thread,
    /// What the guard remembers of it; used by the guard's thread only.
    pub(super) eye: Mutex<Eye>,
    /// The same, for the advice.
    pub(super) gaze: Mutex<Gaze>,
}

/// Has the guard watch this thread until the result is dropped.
pub(crate) fn watch_thread(settings: Settings, host: Box<dyn Host>) -> Watching {
    let post = Arc::new(Post::new());
    let tally = Arc::new(Tally::new());
    let entry = Arc::new(Entry {
        post: Arc::clone(&post),
        tally: Arc::clone(&tally),
        host,
        settings,
        target: Target::this_thread(),
        thread: std::thread::current(),
        eye: Mutex::default(),
        gaze: Mutex::default(),
    });
    enlist(Arc::clone(&entry));
    let watching = Watching {
        entry,
        process: Process::current(),
        _post: context::set_post(post, Some(tally)),
    };
    rounds::call();
    watching
}

/// Ends the watch over a thread when dropped, on that thread.
pub(crate) struct Watching {
    entry: Arc<Entry>,
    process: Process,
    _post: PostGuard,
}

impl Watching {
    /// Where the thread says what it runs.
    pub(crate) fn post(&self) -> &Arc<Post> {
        &self.entry.post
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.process.is_current() {
            // The guard that looks at it is the parent's.
            return;
        }
        advice::hand_in(&self.entry);
        let mut entries = lock();
        let index = entries
            .iter()
            .position(|entry| Arc::ptr_eq(entry, &self.entry));
        let removed = index.map(|index| entries.swap_remove(index));
        drop(entries);
        if let Some(entry) = removed {
            entry.eye.lock().close(&entry, Instant::now());
        }
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

/// Every watched thread, as long as the guard is held.
pub(super) fn lock() -> MutexGuard<'static, Vec<Arc<Entry>>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every watched thread at this moment.
pub(super) fn all() -> Vec<Arc<Entry>> {
    let mut copies = Vec::new();
    copy_to(&mut copies);
    copies
}

/// As [`all`], into an empty vector.
pub(super) fn copy_to(copies: &mut Vec<Arc<Entry>>) {
    loop {
        let entries = lock();
        let count = entries.len();
        if copies.capacity() >= count {
            copies.extend(entries.iter().cloned());
            return;
        }
        drop(entries);
        copies.reserve(count + ROOM);
    }
}

fn enlist(entry: Arc<Entry>) {
    let mut larger = Vec::new();
    let mut entries = lock();
    while entries.len() == entries.capacity() {
        let count = entries.len();
        if larger.capacity() > count {
            larger.append(&mut entries);
            // The old one is dropped below, without the lock.
            std::mem::swap(&mut *entries, &mut larger);
        } else {
            drop(entries);
            larger.reserve(2 * count.max(ROOM / 2));
            entries = lock();
        }
    }
    entries.push(entry);
    drop(entries);
}
