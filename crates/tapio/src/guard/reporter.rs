//! The thread that finds words for what the guard saw.
//!
//! Unwinding, symbols and the user's own log take time, memory and locks, which
//! a stuck thread may hold; the guard must not wait for them, nor the copier. So
//! both put what they found in a queue, whose memory is there before. The thread
//! that empties it is there from the start, and sleeps.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapio_driver::PerProcess;

use super::entry::Entry;
use super::eye::Asked;
use super::groups::{Found, Groups};
use crate::report::{GuardHeldUp, LimitHit, Report};
use crate::{rounds, stack, threads};

/// What waits to be said at most; more is counted.
const QUEUE_MAX: usize = 1024;
/// Between two looks at what was only counted, while something was.
const PERIOD: Duration = Duration::from_secs(2);
/// After so long without a stack, what was read for the last ones is let go.
/// To read it again takes some ten milliseconds of a thread that nobody waits
/// for.
const REMEMBER: Duration = Duration::from_secs(5);
/// How long the end of the last runtime waits for its last words.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

static REPORTER: PerProcess<Reporter> = PerProcess::new(|_| Reporter {
    state: Mutex::new(State::new()),
    changed: Condvar::new(),
});

/// The standard library's locks: `engine` says why.
struct Reporter {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Never grows: it has its room before the guard uses it.
    queue: VecDeque<Job>,
    /// A look at what is due is in the queue.
    is_walking: bool,
    thread: Option<JoinHandle<()>>,
    is_running: bool,
    is_finishing: bool,
    /// What found the queue full, or no thread, since that was last said.
    dropped: u64,
}

enum Job {
    Found(u64, Box<Found>),
    Again(u64, Box<Found>),
    Ended(u64, Duration),
    /// There are as many substitutes as there may be.
    Limit(Arc<Entry>),
    /// What the starter has to say.
    Say(Box<LimitHit>),
    /// Looks at what is due.
    Walk,
    /// The guard was kept from looking for so long, and the thread ran this
    /// before and not after.
    HeldUp(Arc<Entry>, Asked, Duration),
}

// What the copier calls.

/// Has a stall reported, or that it goes on. The number tells it from others.
pub(super) fn found(number: u64, is_again: bool, found: Found) {
    let job = if is_again { Job::Again } else { Job::Found };
    let job = job(number, Box::new(found));
    REPORTER.lock().push(job);
}

/// So many stalls are not reported.
pub(super) fn dropped(count: u64) {
    REPORTER.lock().dropped += count;
}

/// The stall with this number is over.
pub(super) fn ended(number: u64, lasted: Duration) {
    REPORTER.lock().push(Job::Ended(number, lasted));
}

// What the guard calls, unless it says otherwise.

/// There are as many substitutes as there may be.
pub(super) fn limit(entry: &Arc<Entry>) {
    REPORTER.lock().push(Job::Limit(Arc::clone(entry)));
}

/// Has a limit told of. Called by the starter.
pub(super) fn say(limit: LimitHit) {
    let job = Job::Say(Box::new(limit));
    REPORTER.lock().push(job);
}

/// Has what is due looked at.
pub(super) fn walk() {
    let mut state = REPORTER.lock();
    if !state.is_walking {
        state.is_walking = state.push(Job::Walk);
    }
}

/// The guard was kept from looking for so long; meanwhile this has ended.
pub(super) fn held_up(entry: &Arc<Entry>, asked: Asked, kept: Duration) {
    let job = Job::HeldUp(Arc::clone(entry), asked, kept);
    REPORTER.lock().push(job);
}

/// Starts the thread, unless it runs. Called by anybody but the guard.
pub(super) fn start() {
    let mut state = REPORTER.lock();
    if state.queue.capacity() < QUEUE_MAX {
        drop(state);
        let room = VecDeque::with_capacity(QUEUE_MAX);
        state = REPORTER.lock();
        if state.queue.capacity() < QUEUE_MAX {
            // It took nothing in, for want of room.
            state.queue = room;
        }
    }
    // Whoever wanted it to end came before.
    state.is_finishing = false;
    if state.is_running {
        return;
    }
    state.is_running = true;
    drop(state);
    let started = threads::start("tapio-report".into(), None, run);
    let mut state = REPORTER.lock();
    match started {
        Ok(thread) => state.thread = Some(thread),
        // The starter tries again; what comes meanwhile waits.
        Err(_) => state.is_running = false,
    }
}

/// Has the thread say what is left to say and end, unless it is started again
/// before. To be called where nobody can start it at the same time.
pub(super) fn begin_finish() {
    REPORTER.lock().is_finishing = true;
    REPORTER.changed.notify_all();
}

/// Waits for that end, or leaves the thread to itself when somebody's log keeps
/// it.
pub(super) fn finish() {
    let mut state = REPORTER.lock();
    let own = std::thread::current().id();
    let is_own = |thread: &JoinHandle<()>| thread.thread().id() == own;
    let is_own = state.thread.as_ref().is_some_and(is_own);
    let limit = Instant::now() + FINISH_LIMIT;
    while state.is_running && state.is_finishing && !is_own {
        let left = limit.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        state = REPORTER.wait(state, Some(left));
    }
    let ended = match state.is_running {
        false => state.thread.take(),
        true => None,
    };
    state.is_finishing = false;
    drop(state);
    if let Some(thread) = ended {
        let _ = thread.join();
    }
}

impl State {
    const fn new() -> State {
        State {
            queue: VecDeque::new(),
            is_walking: false,
            thread: None,
            is_running: false,
            is_finishing: false,
            dropped: 0,
        }
    }

    /// Whether a job says that a stall goes on which has ended since.
    fn is_over(&self, job: &Job) -> bool {
        let Job::Again(number, _) = job else {
            return false;
        };
        let mut later = self.queue.iter();
        later.any(|later| matches!(later, Job::Ended(ended, _) if ended == number))
    }

    /// Takes a job in; says whether there was room.
    fn push(&mut self, job: Job) -> bool {
        let has_room = self.queue.len() < QUEUE_MAX.min(self.queue.capacity());
        if has_room {
            self.queue.push_back(job);
            REPORTER.changed.notify_all();
        } else {
            self.dropped += 1;
        }
        has_room
    }
}

impl Reporter {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most for so long; `None` for as long as it takes.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match limit {
            None => self.changed.wait(state),
            Some(limit) => {
                let waited = self.changed.wait_timeout(state, limit);
                return waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The life of the thread.
fn run() {
    let mut groups = Groups::default();
    // Since when there is no stall, while something is read for the last ones.
    let mut quiet_since = None;
    let mut state = REPORTER.lock();
    loop {
        while let Some(job) = state.queue.pop_front() {
            if state.is_over(&job) {
                continue;
            }
            state.is_walking &= !matches!(job, Job::Walk);
            let is_stall = matches!(job, Job::Found(..) | Job::Again(..));
            if state.queue.is_empty() {
                // Begins at the start of its room again, which is in memory.
                state.queue.clear();
            }
            drop(state);
            take(&mut groups, job);
            if is_stall {
                quiet_since = Some(Instant::now());
            }
            state = REPORTER.lock();
        }
        groups.unsaid += std::mem::take(&mut state.dropped);
        if state.is_finishing {
            drop(state);
            groups.settle(true);
            state = REPORTER.lock();
            if state.is_finishing && state.queue.is_empty() {
                break;
            }
            continue;
        }
        let limit = (!groups.is_settled() || quiet_since.is_some()).then_some(PERIOD);
        state = REPORTER.wait(state, limit);
        drop(state);
        groups.settle(false);
        if quiet_since.is_some_and(|since: Instant| since.elapsed() >= REMEMBER) {
            stack::forget();
            quiet_since = None;
        }
        state = REPORTER.lock();
    }
    state.is_running = false;
    REPORTER.changed.notify_all();
    drop(state);
    stack::forget();
}

fn take(groups: &mut Groups, job: Job) {
    match job {
        Job::Found(number, found) => groups.found(number, *found),
        Job::Again(number, found) => groups.again(number, *found),
        Job::Ended(number, lasted) => groups.ended(number, lasted),
        Job::Limit(entry) => {
            if let Some(limit) = entry.host.limit_hit() {
                Report::Limit(limit).deliver();
            }
        }
        Job::Say(limit) => Report::Limit(*limit).deliver(),
        Job::Walk => rounds::walk(Instant::now()),
        Job::HeldUp(entry, asked, kept) => {
            Report::GuardHeldUp(GuardHeldUp {
                culprit: asked.culprit(),
                role: entry.host.role(),
                runtime: entry.host.runtime_name(),
                lasted_max: asked.lasted + kept,
                kept,
            })
            .deliver();
        }
    }
}
