//! What the guard remembers of one thread, and how it judges what it sees.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::engine::Round;
use super::entry::Entry;
use super::host::Relief;
use super::reporter::{self, Found};
use crate::capture::{NoStack, capture};
use crate::post::{Running, Seen};
use crate::report::{Culprit, Rescue, StallCause};
use crate::thread_state::{ThreadState, cpu_time, state_of};

/// A thread that computes must have had a CPU for this part of what makes a
/// stall; less, and it was starved of it by others.
const CPU_PART: u32 = 4;

/// How long the guard waits for a stuck thread to copy its stack. It takes
/// some 50 µs; a thread that waits for a CPU takes longer, and is asked again
/// in the next rounds.
const CAPTURE_PATIENCE: Duration = Duration::from_millis(1);
const CAPTURES_MAX: u32 = 20;

/// What is remembered of a thread between two looks.
#[derive(Debug, Default)]
pub(super) struct Eye {
    /// What it ran at the last look, if anything.
    poll: Option<Poll>,
}

/// A poll that has gone on for at least one look.
#[derive(Debug)]
struct Poll {
    seen: Seen,
    /// When it was first seen: how long it really was is said when it is over.
    since: Instant,
    /// How long it has gone on, as far as the guard was awake to see it: a
    /// process that is stopped as a whole does not age.
    lasted: Duration,
    /// By how much longer it may have gone on, before it was first seen.
    unseen: Duration,
    /// What the thread had used of a CPU when it was first seen.
    cpu_then: Option<Duration>,
    /// What it was found to do first: relieving a thread may interrupt the
    /// system call that it is in.
    cause: Option<StallCause>,
    rescue: Option<Rescue>,
    is_starved: bool,
    captures: u32,
    /// The number of the report, once there is one.
    told: Option<u64>,
}

impl Eye {
    /// Looks at a thread; says whether anything goes on there.
    pub(super) fn look(&mut self, entry: &Entry, round: &mut Round) -> bool {
        let seen = entry.post.look();
        match &mut self.poll {
            Some(poll) if poll.seen == seen => {
                poll.lasted += round.step;
                poll.go_on(entry, round);
                true
            }
            _ => {
                self.close(entry);
                if seen.running() == Running::NOTHING {
                    return false;
                }
                self.poll = Some(Poll::new(seen, round.step, entry));
                true
            }
        }
    }

    /// What was going on has ended.
    pub(super) fn close(&mut self, entry: &Entry) {
        if let Some(poll) = self.poll.take() {
            if poll.is_relieved() {
                // What it queued in its last moments.
                entry.host.sweep();
            }
            if let Some(number) = poll.told {
                reporter::ended(number, poll.since.elapsed().max(poll.lasted));
            }
        }
    }
}

impl Poll {
    fn new(seen: Seen, unseen: Duration, entry: &Entry) -> Poll {
        Poll {
            seen,
            since: Instant::now(),
            lasted: Duration::ZERO,
            unseen,
            cpu_then: cpu_time(entry.target.tid()),
            cause: None,
            rescue: None,
            is_starved: false,
            captures: 0,
            told: None,
        }
    }

    fn is_relieved(&self) -> bool {
        matches!(self.rescue, Some(Rescue::Done))
    }

    /// It goes on still: what to do about it.
    fn go_on(&mut self, entry: &Entry, round: &mut Round) {
        round.is_uneasy = true;
        if self.is_relieved() {
            entry.host.sweep();
        }
        let budget = entry.settings.budget;
        let wants_rescue = round.is_too_long(self.lasted, self.unseen, budget)
            && matches!(self.rescue, None | Some(Rescue::Failed(_)));
        let wants_report = self.told.is_none() && self.lasted >= budget;
        if !wants_rescue && !wants_report {
            return;
        }
        let Some(cause) = self.judge(entry) else {
            if wants_report && !self.is_starved {
                self.is_starved = true;
                entry.host.counters().starved.fetch_add(1, Relaxed);
            }
            return;
        };
        let cause = self.cause.get_or_insert(cause).clone();
        // First the others, then the words.
        if wants_rescue {
            self.rescue(entry, round);
        }
        if wants_report {
            self.tell(entry, cause);
        }
    }

    fn rescue(&mut self, entry: &Entry, round: &mut Round) {
        self.rescue = match entry.host.relieve() {
            Relief::Done => {
                round.has_rescued = true;
                entry.host.counters().rescues.fetch_add(1, Relaxed);
                Some(Rescue::Done)
            }
            Relief::Nothing => Some(Rescue::NotNeeded),
            Relief::Moved => None,
            Relief::Off => Some(Rescue::Off),
            Relief::Limit(max) => {
                if self.rescue.is_none() {
                    reporter::limit(max);
                }
                Some(Rescue::Failed(format!("max_substitutes ({max}) reached")))
            }
            Relief::NoThread(error) => Some(Rescue::Failed(format!(
                "the system gives no thread: {error}"
            ))),
        };
    }

    fn tell(&mut self, entry: &Entry, cause: StallCause) {
        let task = entry.post.task();
        let copied = capture(&entry.target, entry.settings.signal, CAPTURE_PATIENCE);
        if entry.post.look() != self.seen {
            // It went on before its stack was copied: nothing is known of
            // where it was, and it is over.
            return;
        }
        self.captures += 1;
        let may_come = copied.as_ref().is_err_and(NoStack::may_pass);
        if may_come && self.captures < CAPTURES_MAX {
            return;
        }
        entry.host.counters().stalls.fetch_add(1, Relaxed);
        let running = self.seen.running();
        let found = Found {
            culprit: Culprit::new(running, task),
            cause,
            lasted: self.lasted,
            role: entry.host.role(),
            thread: entry.thread.name().map(Into::into),
            runtime: entry.host.runtime_name(),
            runtime_number: entry.host.counters().runtime,
            rescue: self.rescue.clone().unwrap_or(Rescue::NotNeeded),
            pinned: entry.post.pinned(),
            stack: copied,
        };
        self.told = Some(reporter::found(found));
    }

    /// What keeps the thread, by what the kernel says; `None` when it only
    /// waits for a CPU, or is no longer there to be asked.
    fn judge(&self, entry: &Entry) -> Option<StallCause> {
        let tid = entry.target.tid();
        match state_of(tid) {
            ThreadState::Blocked { syscall } => Some(StallCause::Blocked(syscall)),
            ThreadState::Running => {
                let used = cpu_time(tid)?.saturating_sub(self.cpu_then?);
                // With many that compute, each has a small share, and is stuck.
                let enough = self.lasted.min(entry.settings.budget) / CPU_PART;
                (used >= enough).then_some(StallCause::Computing)
            }
            ThreadState::Stopped | ThreadState::Gone => None,
        }
    }
}
