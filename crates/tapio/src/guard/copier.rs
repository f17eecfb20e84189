//! The thread that comes by the stacks of stuck threads.
//!
//! To read a stack takes memory and locks of the kernel's, which a stuck
//! thread may hold, and a thread that computes takes a moment to answer. The
//! guard must wait for neither: it says what it found and goes on. Words are
//! found elsewhere (`reporter`), since that takes so long that other stalls
//! would be over meanwhile.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tapio_driver::PerProcess;

use super::copying::Copying;
use super::entry::Entry;
use super::eye::Asked;
use super::reporter;
use crate::post::Seen;
use crate::{slice, threads};

/// Between two looks at a thread whose stack is wanted.
const PERIOD: Duration = Duration::from_millis(2);
/// What waits to be copied at most; more is counted.
const QUEUE_MAX: usize = 1024;

static COPIER: PerProcess<Copier> = PerProcess::new(|_| Copier {
    state: Mutex::new(State {
        queue: VecDeque::new(),
        next_number: 1,
        thread: None,
        is_running: false,
        is_finishing: false,
        dropped: 0,
    }),
    changed: Condvar::new(),
});

struct Copier {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Has its room before the guard uses it, and never grows.
    queue: VecDeque<Job>,
    next_number: u64,
    thread: Option<JoinHandle<()>>,
    is_running: bool,
    is_finishing: bool,
    /// What found the queue full.
    dropped: u64,
}

enum Job {
    Near(Arc<Entry>, Seen),
    Tell(Arc<Entry>, Order),
    Ended(u64, Duration),
}

/// What is to be told once there is a stack.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) number: u64,
    /// Whether it was told before, and goes on.
    pub(super) is_again: bool,
    pub(super) asked: Asked,
}

// What the guard calls.

/// A thread that computes is about to be stuck: it is asked for its stack, to
/// have that when it is wanted.
pub(super) fn near(entry: &Arc<Entry>, seen: Seen) {
    COPIER.lock().push(Job::Near(Arc::clone(entry), seen));
}

/// Has a stall reported; its number is for [`found_again`] and [`ended`].
pub(super) fn found(entry: &Arc<Entry>, asked: Asked) -> u64 {
    let mut state = COPIER.lock();
    let number = state.next_number;
    state.next_number += 1;
    let order = Order {
        number,
        is_again: false,
        asked,
    };
    state.push(Job::Tell(Arc::clone(entry), order));
    number
}

/// The stall with this number goes on, as it is now.
pub(super) fn found_again(number: u64, entry: &Arc<Entry>, asked: Asked) {
    let order = Order {
        number,
        is_again: true,
        asked,
    };
    let job = Job::Tell(Arc::clone(entry), order);
    COPIER.lock().push(job);
}

/// The stall with this number is over.
pub(super) fn ended(number: u64, lasted: Duration) {
    COPIER.lock().push(Job::Ended(number, lasted));
}

// What others call.

/// Starts the thread, unless it runs. Its room is made and its thread started
/// without the lock, which the guard takes.
pub(super) fn start() {
    let mut state = COPIER.lock();
    state.is_finishing = false;
    if state.is_running {
        return;
    }
    state.is_running = true;
    let has_room = state.queue.capacity() >= QUEUE_MAX;
    drop(state);
    let room = (!has_room).then(|| VecDeque::with_capacity(QUEUE_MAX));
    let started = threads::start("tapio-copy".into(), None, run);
    let mut state = COPIER.lock();
    if let Some(room) = room {
        // It took nothing in, for want of room.
        state.queue = room;
    }
    match started {
        Ok(thread) => state.thread = Some(thread),
        // The starter tries again; what comes meanwhile waits.
        Err(_) => state.is_running = false,
    }
}

/// Hands over what is there and ends the thread.
pub(super) fn finish() {
    let mut state = COPIER.lock();
    let thread = state.thread.take();
    state.is_finishing = true;
    COPIER.changed.notify_all();
    drop(state);
    if let Some(thread) = thread
        && thread.thread().id() != std::thread::current().id()
    {
        let _ = thread.join();
    }
}

impl Copier {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, job: Job) {
        if self.queue.len() < QUEUE_MAX.min(self.queue.capacity()) {
            self.queue.push_back(job);
            COPIER.changed.notify_all();
        } else if !matches!(job, Job::Near(..)) {
            self.dropped += 1;
        }
    }
}

/// The life of the thread.
fn run() {
    // A stall may be over soon, and all CPUs busy.
    slice::shorten();
    let mut at_work = AtWork::default();
    let mut state = COPIER.lock();
    loop {
        while let Some(job) = state.queue.pop_front() {
            drop(state);
            at_work.take(job);
            state = COPIER.lock();
        }
        let dropped = mem::take(&mut state.dropped);
        let is_finishing = state.is_finishing;
        drop(state);
        if dropped > 0 {
            reporter::dropped(dropped);
        }
        at_work.look();
        if is_finishing {
            at_work.finish();
            COPIER.lock().is_running = false;
            return;
        }
        state = COPIER.lock();
        if !state.queue.is_empty() || state.is_finishing {
            continue;
        }
        state = if at_work.copyings.is_empty() {
            let waited = COPIER.changed.wait(state);
            waited.unwrap_or_else(PoisonError::into_inner)
        } else {
            let waited = COPIER.changed.wait_timeout(state, PERIOD);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
    }
}

/// The stacks that are wanted.
#[derive(Default)]
struct AtWork {
    copyings: Vec<Copying>,
}

impl AtWork {
    fn take(&mut self, job: Job) {
        match job {
            Job::Near(entry, seen) => {
                let mut copyings = self.copyings.iter();
                if !copyings.any(|copying| copying.is_of(&entry, seen)) {
                    self.begin(Copying::ahead(entry, seen));
                }
            }
            Job::Tell(entry, order) => {
                let mut copyings = self.copyings.iter();
                let begun = copyings.position(|copying| copying.is_of(&entry, order.asked.seen));
                let mut copying = match begun {
                    Some(index) => self.copyings.swap_remove(index),
                    None => Copying::ahead(entry, order.asked.seen),
                };
                copying.order(order);
                self.begin(copying);
            }
            Job::Ended(number, lasted) => {
                let is_of_it = |copying: &Copying| copying.number() == Some(number);
                if let Some(index) = self.copyings.iter().position(is_of_it) {
                    self.copyings.swap_remove(index).end();
                }
                reporter::ended(number, lasted);
            }
        }
    }

    fn begin(&mut self, mut copying: Copying) {
        if !copying.look() {
            self.copyings.push(copying);
        }
    }

    fn look(&mut self) {
        self.copyings.retain_mut(|copying| !copying.look());
    }

    fn finish(&mut self) {
        for mut copying in self.copyings.drain(..) {
            copying.end();
        }
    }
}
