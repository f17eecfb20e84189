//! What a thread knows of where it is: the task it runs and its budget,
//! whether it drives futures.
//!
//! These cells need no destructor, so they are there as long as the thread
//! is. What owns something is elsewhere: the worker that a thread is in
//! `scheduler::here`, the runtime that it entered in `runtime::Handle`.

#![expect(
    unsafe_code,
    reason = "a thread's post and tally are reached through pointers, to spare each poll a count"
)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tapio_driver::Process;

use crate::post::{Pinned, Post, Running, Seen};
use crate::tally::Tally;

thread_local! {
    static HOT: Hot = const { Hot::new() };
}

/// What is left of a poll's budget; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget(pub(crate) Option<u8>);

impl Budget {
    /// Outside of tasks, and inside `unconstrained`.
    pub(crate) const UNLIMITED: Budget = Budget(None);
}

struct Hot {
    /// Where this thread says what it runs; null for `own`.
    post: Cell<*const Post>,
    /// The post of a thread that nobody watches. It holds nothing, so that it
    /// needs no destructor, which each access would have to ask for.
    own: ManuallyDrop<Post>,
    /// Where it counts what its tasks do; null for nowhere.
    tally: Cell<*const Tally>,
    budget: Cell<Budget>,
    /// Task ids taken by this thread and not given out yet.
    id_next: Cell<u64>,
    id_end: Cell<u64>,
    /// In which process: what a child inherits is not its own.
    entered: Cell<(Entered, Option<Process>)>,
}

/// Whether this thread is inside a `block_on` or is a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// Neither: it may block.
    Outside,
    /// It drives futures: blocking it is a mistake.
    Inside,
    /// As `Inside`, and nobody could take over what it drives: tasks of a
    /// `LocalSet` or of a `current_thread` runtime.
    Pinned,
}

impl Hot {
    const fn new() -> Hot {
        Hot {
            post: Cell::new(ptr::null()),
            own: ManuallyDrop::new(Post::new()),
            tally: Cell::new(ptr::null()),
            budget: Cell::new(Budget::UNLIMITED),
            id_next: Cell::new(0),
            id_end: Cell::new(0),
            entered: Cell::new((Entered::Outside, None)),
        }
    }

    #[inline]
    fn post(&self) -> &Post {
        self.watched_post().unwrap_or(&self.own)
    }

    /// This thread's post, if anybody looks at it.
    #[inline]
    fn watched_post(&self) -> Option<&Post> {
        // SAFETY: `set_post` keeps the post alive for as long as it is here,
        // and only this thread changes or follows the pointer.
        unsafe { self.post.get().as_ref() }
    }

    fn entered(&self) -> Entered {
        match self.entered.get() {
            // A child is outside of its parent's runtime, wherever it was made.
            (_, Some(process)) if !process.is_current() => Entered::Outside,
            (entered, _) => entered,
        }
    }

    #[inline]
    fn tally(&self) -> Option<&Tally> {
        // SAFETY: as for the post.
        unsafe { self.tally.get().as_ref() }
    }
}

/// One fresh task id; `refill` takes a block of them.
#[inline]
pub(crate) fn next_id(refill: impl FnOnce() -> Range<u64>) -> u64 {
    HOT.with(|hot| {
        if hot.id_next.get() == hot.id_end.get() {
            let block = refill();
            hot.id_next.set(block.start);
            hot.id_end.set(block.end);
        }
        let id = hot.id_next.get();
        hot.id_next.set(id + 1);
        id
    })
}

/// A number that this thread keeps as long as it lives.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: only a rough spread over seats hangs on it.
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

/// The number of the running task; zero outside of tasks.
pub(crate) fn current_task() -> u64 {
    HOT.with(|hot| hot.post().task())
}

/// The running task's number, zero outside of tasks, and what runs.
#[inline]
pub(crate) fn current() -> (u64, Running) {
    HOT.with(|hot| {
        let post = hot.post();
        (post.task(), post.look().running())
    })
}

/// The poll under way, if it is that of a task which ends with it, since its
/// runtime ends.
pub(crate) fn ending_poll() -> Option<Seen> {
    HOT.with(|hot| {
        let post = hot.watched_post().filter(|post| post.is_ending())?;
        let poll = post.look();
        // Inside of `block_in_place`, nobody waits for what a poll answers.
        let is_driven = hot.entered() != Entered::Outside;
        (is_driven && poll.running().is_task()).then_some(poll)
    })
}

/// Marks this thread as running a task until the guard is dropped.
///
/// # Cost
/// Two relaxed stores here and two at the end; no clock.
#[inline]
pub(crate) fn enter_task(id: u64, spawned_at: &'static Location<'static>) -> RunGuard {
    enter(id, Running::task(spawned_at))
}

/// Marks this thread as running the future that somebody blocks on, inside
/// of a task or not.
pub(crate) fn enter_blocked_on(at: &'static Location<'static>) -> RunGuard {
    enter(current_task(), Running::block_on(at))
}

/// Marks this thread as running a callback that was given at a place, for a
/// task or for none.
pub(crate) fn enter_callback(task: u64, given_at: &'static Location<'static>) -> RunGuard {
    enter(task, Running::callback(given_at))
}

/// Marks this thread as running code that is no task's until the guard is
/// dropped.
pub(crate) fn enter_code(running: Running) -> RunGuard {
    enter(current_task(), running)
}

#[inline]
fn enter(task: u64, running: Running) -> RunGuard {
    HOT.with(|hot| {
        let post = hot.post();
        let guard = RunGuard {
            post,
            task: post.task(),
            running: post.look().running(),
        };
        post.say(task, running);
        guard
    })
}

pub(crate) struct RunGuard {
    /// Not looked up again, to spare each poll that.
    post: *const Post,
    task: u64,
    running: Running,
}

impl Drop for RunGuard {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the post was this thread's when the guard was made on this
        // thread's stack. Whoever made it the thread's post (`set_post`) did
        // so further down the stack and keeps it alive until this is gone;
        // the thread's own post lives as long as the thread.
        let post = unsafe { &*self.post };
        post.say(self.task, self.running);
    }
}

/// Counts an I/O operation for what runs on this thread.
///
/// # Cost
/// A look at the post and a line of the thread's own table: no atomic
/// read-modify-write, no lock.
#[inline]
pub(crate) fn note_io() {
    HOT.with(|hot| {
        if let Some(tally) = hot.tally() {
            tally.count_io(hot.post().look().running());
        }
    });
}

/// Counts a call that what runs on this thread has handed to another one,
/// since it blocks or computes.
pub(crate) fn note_offload() {
    HOT.with(|hot| {
        if let Some(tally) = hot.tally() {
            tally.count_offload(hot.post().look().running());
        }
    });
}

/// Has this thread say at `post` what it runs, and count in `tally` what that
/// does if anybody wants to know, until the guard is dropped.
pub(crate) fn set_post(post: Arc<Post>, tally: Option<Arc<Tally>>) -> PostGuard {
    // Whoever blocks on a future inside of a task is that task still.
    post.say(current_task(), Running::NOTHING);
    let outer = HOT.with(|hot| {
        (
            hot.post.replace(Arc::as_ptr(&post)),
            hot.tally
                .replace(tally.as_ref().map_or(ptr::null(), Arc::as_ptr)),
        )
    });
    PostGuard {
        post,
        _tally: tally,
        outer,
        thread: PhantomData,
    }
}

pub(crate) struct PostGuard {
    /// Keep alive what the thread points to.
    post: Arc<Post>,
    _tally: Option<Arc<Tally>>,
    outer: (*const Post, *const Tally),
    /// It is this thread's post.
    thread: PhantomData<*const ()>,
}

impl Drop for PostGuard {
    fn drop(&mut self) {
        self.post.say(0, Running::NOTHING);
        HOT.with(|hot| {
            hot.post.set(self.outer.0);
            hot.tally.set(self.outer.1);
        });
    }
}

/// Says that `tasks` wait for this thread alone until the guard is dropped.
pub(crate) fn pin(tasks: Arc<dyn Pinned>) -> PinGuard {
    HOT.with(|hot| {
        if let Some(post) = hot.watched_post() {
            post.pin(tasks);
        }
    });
    PinGuard(Process::current(), PhantomData)
}

pub(crate) struct PinGuard(
    /// Whose guard looks at the post, and may have it locked.
    Process,
    /// It is this thread's post.
    PhantomData<*const ()>,
);

impl Drop for PinGuard {
    fn drop(&mut self) {
        if !self.0.is_current() {
            return;
        }
        HOT.with(|hot| {
            if let Some(post) = hot.watched_post() {
                post.unpin();
            }
        });
    }
}

#[inline]
pub(crate) fn with_budget<R>(f: impl FnOnce(&Cell<Budget>) -> R) -> R {
    HOT.with(|hot| f(&hot.budget))
}

pub(crate) fn entered() -> Entered {
    HOT.with(Hot::entered)
}

/// Changes whether this thread drives futures until the guard is dropped.
pub(crate) fn set_entered(entered: Entered) -> EnteredGuard {
    EnteredGuard {
        outer: HOT.with(|hot| hot.entered.replace((entered, Some(Process::current())))),
    }
}

/// Marks what this thread drives as pinned to it until the guard is dropped;
/// a thread that drives nothing of ours may block all the same.
pub(crate) fn set_pinned() -> EnteredGuard {
    set_entered(match entered() {
        Entered::Outside => Entered::Outside,
        Entered::Inside | Entered::Pinned => Entered::Pinned,
    })
}

pub(crate) struct EnteredGuard {
    outer: (Entered, Option<Process>),
}

impl Drop for EnteredGuard {
    fn drop(&mut self) {
        HOT.with(|hot| hot.entered.set(self.outer));
    }
}
