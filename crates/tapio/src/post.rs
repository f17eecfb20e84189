//! Where a thread says what it runs, for whoever watches it.
//!
//! A thread writes its post with one relaxed store when it begins to run
//! something and one when it stops; it reads no clock. A watcher looks now and
//! then: the same word twice means that the same poll is still going on.

#![expect(unsafe_code, reason = "an address in a word is a reference again")]

use std::fmt;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a thread runs, as one word: nothing, code that is no task's, or the
/// task that was spawned at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Running(u64);

/// How many of a word's bits count polls; the others hold an address.
const COUNT_BITS: u32 = 16;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// The largest number that is not an address.
const CODES_MAX: u64 = 10;
/// Set for the future of a `block_on`. A `Location` is aligned, so its
/// address leaves this bit to us.
const BLOCK_ON: u64 = 1 << COUNT_BITS;
/// Set for a callback. So does this one.
const CALLBACK: u64 = 2 << COUNT_BITS;
const FLAGS: u64 = BLOCK_ON | CALLBACK;
const _: () = assert!(align_of::<Location<'static>>() >= 4);

/// A function that the user had called along a thread's way, by the name of
/// the builder's function that it was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Start,
    Stop,
    Park,
    Unpark,
}

impl Hook {
    const ALL: [Hook; 4] = [Hook::Start, Hook::Stop, Hook::Park, Hook::Unpark];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Hook::Start => "on_thread_start",
            Hook::Stop => "on_thread_stop",
            Hook::Park => "on_thread_park",
            Hook::Unpark => "on_thread_unpark",
        }
    }
}

impl Running {
    pub(crate) const NOTHING: Running = Running(0);
    /// A waker that is not a task's of ours.
    pub(crate) const WAKER: Running = Running(2 << COUNT_BITS);

    /// A function that the user had called along a thread's way.
    pub(crate) const fn hook(hook: Hook) -> Running {
        // Even, as `WAKER` is, and larger: the odd ones are `BLOCK_ON`.
        Running((4 + 2 * hook as u64) << COUNT_BITS)
    }

    pub(crate) fn as_hook(self) -> Option<Hook> {
        let mut all = Hook::ALL.into_iter();
        all.find(|&hook| Running::hook(hook) == self)
    }

    /// A task, by where it was spawned.
    #[inline]
    pub(crate) fn task(at: &'static Location<'static>) -> Running {
        // User space has 48 bits of addresses, unless a program asks the
        // kernel for more, which no linker does for static data.
        Running((ptr::from_ref(at).expose_provenance() as u64) << COUNT_BITS)
    }

    /// The future of a `block_on`, by where that was called.
    pub(crate) fn block_on(at: &'static Location<'static>) -> Running {
        Running(Running::task(at).0 | BLOCK_ON)
    }

    /// A callback, by where it was given.
    pub(crate) fn callback(at: &'static Location<'static>) -> Running {
        Running(Running::task(at).0 | CALLBACK)
    }

    /// As a number, to be kept beside others.
    #[inline]
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    pub(crate) fn is_task(self) -> bool {
        self.location().is_some() && self.0 & BLOCK_ON == 0
    }

    pub(crate) fn is_block_on(self) -> bool {
        self.location().is_some() && self.0 & BLOCK_ON != 0
    }

    pub(crate) fn is_callback(self) -> bool {
        self.location().is_some() && self.0 & CALLBACK != 0
    }

    /// Where the task, the `block_on` or the callback is, if it is one.
    pub(crate) fn location(self) -> Option<&'static Location<'static>> {
        let address = (self.0 & !FLAGS) >> COUNT_BITS;
        if address <= CODES_MAX {
            return None;
        }
        // SAFETY: only `task` makes a word with a larger number, from a
        // reference that is valid for ever.
        Some(unsafe { &*ptr::with_exposed_provenance(address as usize) })
    }
}

/// A `Running` that others may read. Relaxed, both ways: it stands for itself.
#[derive(Debug)]
pub(crate) struct RunningCell(AtomicU64);

impl RunningCell {
    pub(crate) const fn new() -> RunningCell {
        RunningCell(AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn get(&self) -> Running {
        Running(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, running: Running) {
        self.0.store(running.0, Ordering::Relaxed);
    }
}

/// What a post said when somebody looked. Two that are equal are of one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(u64);

impl Seen {
    #[inline]
    pub(crate) fn running(self) -> Running {
        Running(self.0 & !COUNT_MASK)
    }
}

/// Tasks that cannot leave the thread which polls them.
pub(crate) trait Pinned: Send + Sync {
    /// Where they were spawned, and how many from there; without `task`.
    fn sites(&self, task: u64) -> Vec<(&'static Location<'static>, usize)>;
}

/// One thread's post.
pub(crate) struct Post {
    word: AtomicU64,
    /// The id of the running task; zero outside of tasks.
    task: AtomicU64,
    /// Whether the tasks that this thread runs end with their polls.
    is_ending: AtomicBool,
    /// The sets of local tasks that are being polled, the innermost last.
    pinned: Mutex<Vec<Arc<dyn Pinned>>>,
}

impl Post {
    pub(crate) const fn new() -> Post {
        Post {
            word: AtomicU64::new(0),
            task: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            pinned: Mutex::new(Vec::new()),
        }
    }

    /// Says what this thread runs from now on, and for which task. Only the
    /// post's own thread calls this.
    #[inline]
    pub(crate) fn say(&self, task: u64, running: Running) {
        // Relaxed, all: a single writer, and watchers want only the words.
        let count = self.word.load(Ordering::Relaxed).wrapping_add(1) & COUNT_MASK;
        self.task.store(task, Ordering::Relaxed);
        self.word.store(running.0 | count, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn look(&self) -> Seen {
        // Relaxed: pairs with `say`.
        Seen(self.word.load(Ordering::Relaxed))
    }

    /// The id of the running task; zero outside of tasks.
    #[inline]
    pub(crate) fn task(&self) -> u64 {
        // Relaxed: pairs with `say`.
        self.task.load(Ordering::Relaxed)
    }

    /// Says that the tasks which this thread runs end with their polls, as
    /// their runtime does.
    pub(crate) fn set_ending(&self) {
        // Relaxed, both: a flag that stands for itself. Timers and drivers,
        // whose refusals make a task look, end after it under locks.
        self.is_ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Says that `tasks` wait for this thread until they are unpinned.
    pub(crate) fn pin(&self, tasks: Arc<dyn Pinned>) {
        self.pinned.lock().push(tasks);
    }

    /// Takes back the last [`Post::pin`].
    pub(crate) fn unpin(&self) {
        let tasks = self.pinned.lock().pop();
        // Dropped without the lock.
        drop(tasks);
    }

    /// The tasks that wait for this thread alone, by where they were spawned;
    /// without the running one.
    pub(crate) fn pinned(&self) -> Vec<(&'static Location<'static>, usize)> {
        let task = self.task();
        let sets = self.pinned.lock().clone();
        sets.iter().flat_map(|set| set.sites(task)).collect()
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post")
            .field("running", &self.look().running())
            .field("task", &self.task())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Hook, Post, Running};
    use std::panic::Location;

    #[test]
    fn the_same_task_polled_twice_is_seen_as_two_polls() {
        let here = Location::caller();
        let post = Post::new();
        post.say(7, Running::task(here));
        let first = post.look();
        assert_eq!(first.running().location(), Some(here));
        post.say(0, Running::NOTHING);
        assert_eq!(post.look().running(), Running::NOTHING);
        post.say(7, Running::task(here));
        assert_ne!(post.look(), first);
        assert_eq!(post.look().running(), first.running());
    }

    #[test]
    fn a_place_is_told_from_the_same_place_of_another_kind() {
        let here = Location::caller();
        let kinds = [Running::task, Running::block_on, Running::callback];
        for (index, kind) in kinds.into_iter().enumerate() {
            let running = kind(here);
            assert_eq!(running.location(), Some(here));
            assert_eq!(running.is_block_on(), index == 1);
            assert_eq!(running.is_callback(), index == 2);
        }
    }

    #[test]
    fn code_that_is_no_task_has_no_location() {
        for code in [Running::NOTHING, Running::WAKER] {
            assert_eq!(code.location(), None);
            assert_eq!(code.as_hook(), None);
        }
        for hook in Hook::ALL {
            assert_eq!(Running::hook(hook).location(), None);
            assert_eq!(Running::hook(hook).as_hook(), Some(hook));
        }
    }
}
