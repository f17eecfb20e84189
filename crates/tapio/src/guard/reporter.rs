//! The thread that finds words for what the guard saw.
//!
//! Unwinding, symbols and the user's own log take time, memory and locks, which
//! a stuck thread may hold; the guard must not wait for them, nor the copier. So
//! both put what they found in a queue, whose memory is there before. The thread
//! that empties it is there from the start, and sleeps.

use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tapio_driver::PerProcess;

use super::copying::Copied;
use super::entry::Entry;
use super::eye::Asked;
use super::std_locks::StdLocks;
use crate::capture::NoStack;
use crate::report::{
    Culprit, GuardHeldUp, LimitHit, Report, Rescue, Stall, StallCause, StallEnded,
};
use crate::{rounds, stack, threads};

/// The same stack is reported once in so long; what came meanwhile is counted
/// and said in one line.
const WINDOW: Duration = Duration::from_secs(10);
/// Stacks told apart within one window; the rest is only counted.
const GROUPS_MAX: usize = 256;
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

/// The number of the next stall that is reported in full. Relaxed: it only
/// tells them apart.
static NEXT_STALL: AtomicU64 = AtomicU64::new(1);

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

/// A stall, as the guard saw it.
pub(super) struct Found {
    pub(super) culprit: Culprit,
    pub(super) cause: StallCause,
    pub(super) lasted: Duration,
    pub(super) cpu: Duration,
    pub(super) tid: i32,
    pub(super) role: String,
    pub(super) thread: Option<Arc<str>>,
    pub(super) runtime: Option<Arc<str>>,
    pub(super) runtime_number: u64,
    pub(super) rescue: Rescue,
    pub(super) pinned: Vec<(&'static Location<'static>, usize)>,
    pub(super) stack: Result<Copied, NoStack>,
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

/// Says what is left to say and ends the thread, or leaves it to itself when
/// somebody's log keeps it.
pub(super) fn finish() {
    let mut state = REPORTER.lock();
    let Some(thread) = state.thread.take() else {
        return;
    };
    state.is_finishing = true;
    REPORTER.changed.notify_all();
    let limit = Instant::now() + FINISH_LIMIT;
    let is_own = thread.thread().id() == std::thread::current().id();
    while state.is_running && !is_own {
        let left = limit.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        state = REPORTER.wait(state, Some(left));
    }
    let has_ended = !state.is_running;
    state.is_finishing = false;
    drop(state);
    if has_ended {
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
            groups.take(job);
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
            if state.queue.is_empty() {
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

/// What stalls have in common that are reported as one: their runtime and
/// their stack.
type Key = (u64, u64);

/// Stalls by what they have in common.
#[derive(Default)]
struct Groups {
    by_key: HashMap<Key, Group>,
    /// Stalls of which nothing is said but how many they were, and when that
    /// was last said.
    unsaid: u64,
    counted_at: Option<Instant>,
    /// Those that were reported in full and go on: their number, and what was
    /// said.
    open: HashMap<u64, Open>,
    std_locks: StdLocks,
}

struct Group {
    /// Of the stall that was reported in full.
    number: u64,
    since: Instant,
    /// What was not said since.
    repeats: u64,
    longest: Duration,
    last: Stall,
}

struct Open {
    key: Key,
    cause: StallCause,
    /// `None` for a repetition, which is only counted.
    stall: Option<Stall>,
}

impl Groups {
    fn take(&mut self, job: Job) {
        match job {
            Job::Found(number, found) => self.found(number, *found),
            Job::Again(number, found) => self.again(number, *found),
            Job::Ended(number, lasted) => self.ended(number, lasted),
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

    fn found(&mut self, number: u64, found: Found) {
        let runtime = found.runtime_number;
        let (stall, _) = found.into_stall();
        self.say(number, (runtime, stall.key()), stall);
    }

    /// Says of a stall that goes on what it has come to.
    fn again(&mut self, number: u64, found: Found) {
        let Some(open) = self.open.get(&number) else {
            return;
        };
        let runtime = found.runtime_number;
        let tid = found.tid;
        let (mut stall, copied) = found.into_stall();
        stall.std_lock = match (&copied, &stall.stack) {
            (Some(copied), Some(stack)) => {
                let who = (&stall.culprit, &*stall.role);
                self.std_locks.note(number, tid, copied, stack, who)
            }
            _ => None,
        };
        let has_circle = stall
            .std_lock
            .as_ref()
            .is_some_and(|it| !it.circle.is_empty());
        let key = (runtime, stall.key());
        let is_unchanged =
            stall.cause.is_like(&open.cause) && (open.key == key || stall.stack.is_none());
        stall.was_reported = open.stall.is_some();
        stall.is_unchanged = is_unchanged && stall.was_reported;
        if is_unchanged && !has_circle && open.stall.is_none() {
            // A repetition, which is only counted.
            return;
        }
        if !is_unchanged && !has_circle && !stall.was_reported {
            self.open.remove(&number);
            return self.say(number, key, stall);
        }
        stall.number = match &open.stall {
            Some(before) => before.number,
            None => NEXT_STALL.fetch_add(1, Ordering::Relaxed),
        };
        Report::Stall(stall.clone()).deliver();
        let cause = stall.cause.clone();
        let key = if is_unchanged { open.key } else { key };
        let stall = Some(stall);
        self.open.insert(number, Open { key, cause, stall });
    }

    fn say(&mut self, number: u64, key: Key, mut stall: Stall) {
        let cause = stall.cause.clone();
        let is_full = self.by_key.len() >= GROUPS_MAX;
        if let Some(group) = self.by_key.get_mut(&key) {
            group.repeats += 1;
            group.longest = group.longest.max(stall.lasted);
            group.last = stall;
            let open = Open {
                key,
                cause,
                stall: None,
            };
            self.open.insert(number, open);
            return;
        }
        if is_full {
            self.unsaid += 1;
            return;
        }
        stall.number = NEXT_STALL.fetch_add(1, Ordering::Relaxed);
        Report::Stall(stall.clone()).deliver();
        let group = Group {
            number: stall.number,
            since: Instant::now(),
            repeats: 0,
            longest: stall.lasted,
            last: stall.clone(),
        };
        self.by_key.insert(key, group);
        self.open.insert(
            number,
            Open {
                key,
                cause,
                stall: Some(stall),
            },
        );
    }

    fn ended(&mut self, number: u64, lasted: Duration) {
        self.std_locks.forget(number);
        let Some(open) = self.open.remove(&number) else {
            return;
        };
        if let Some(group) = self.by_key.get_mut(&open.key) {
            group.longest = group.longest.max(lasted);
        }
        if let Some(stall) = open.stall {
            Report::StallEnded(StallEnded::new(stall, lasted)).deliver();
        }
    }

    /// Says what was only counted, of groups whose window is over or of all.
    fn settle(&mut self, all: bool) {
        let over: Vec<Key> = self
            .by_key
            .iter()
            .filter(|(_, group)| all || group.since.elapsed() >= WINDOW)
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            let Some(group) = self.by_key.remove(&key) else {
                continue;
            };
            if group.repeats > 0 {
                let is_of_it = |open: &Open| open.key == key && open.stall.is_none();
                let mut stall = group.last;
                stall.number = group.number;
                stall.is_open = self.open.values().any(is_of_it);
                stall.lasted = group.longest;
                stall.repeats = group.repeats;
                Report::Stall(stall).deliver();
            }
        }
        let is_due = self.counted_at.is_none_or(|at| at.elapsed() >= WINDOW);
        if self.unsaid > 0 && (all || is_due) {
            self.counted_at = Some(Instant::now());
            let unsaid = std::mem::take(&mut self.unsaid);
            let consequence = format!("more stalls, counted and not reported: {unsaid}");
            Report::Limit(LimitHit::new("stall_reports", GROUPS_MAX, consequence)).deliver();
        }
    }

    fn is_settled(&self) -> bool {
        let has_repeats = self.by_key.values().any(|group| group.repeats > 0);
        self.open.is_empty() && !has_repeats && self.unsaid == 0
    }
}

impl Found {
    /// With the copy that its stack is from.
    fn into_stall(self) -> (Stall, Option<Copied>) {
        let (stack, no_stack, copied) = match self.stack {
            Ok(copied) => (Some(copied.raw.resolve()), None, Some(copied)),
            Err(why) => (None, Some(why.to_string()), None),
        };
        let stall = Stall {
            culprit: self.culprit,
            cause: self.cause.fitting(stack.as_ref()),
            lasted: self.lasted,
            cpu: self.cpu,
            was_reported: false,
            is_unchanged: false,
            std_lock: None,
            role: self.role,
            thread: self.thread,
            runtime: self.runtime,
            rescue: self.rescue,
            pinned: self.pinned,
            stack,
            no_stack,
            repeats: 0,
            is_open: false,
            number: 0,
        };
        (stall, copied)
    }
}
