//! The threads that are watched.

use std::fmt;
use std::sync::Arc;
use std::thread::Thread;
use std::time::Instant;

use parking_lot::Mutex;

use super::advice::{self, Gaze};
use super::eye::Eye;
use super::host::{Host, Settings};
use crate::capture::Target;
use crate::context::{self, PostGuard};
use crate::post::Post;
use crate::rounds;
use crate::tally::Tally;

static ENTRIES: Mutex<Vec<Arc<Entry>>> = Mutex::new(Vec::new());

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
    ENTRIES.lock().push(Arc::clone(&entry));
    let watching = Watching {
        entry,
        _post: context::set_post(post, Some(tally)),
    };
    rounds::call();
    watching
}

/// Ends the watch over a thread when dropped, on that thread.
pub(crate) struct Watching {
    entry: Arc<Entry>,
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
        advice::hand_in(&self.entry);
        let mut entries = ENTRIES.lock();
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

/// Every watched thread at this moment.
pub(super) fn all() -> Vec<Arc<Entry>> {
    ENTRIES.lock().clone()
}
