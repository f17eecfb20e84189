//! What the guard remembers of one thread, and how it judges what it sees.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::copier;
use super::copying::Copied;
use super::engine::Round;
use super::entry::Entry;
use super::host::Relief;
use super::reporter::{self, Found};
use super::sight::Sight;
use super::span::Span;
use crate::capture::NoStack;
use crate::post::{Running, Seen};
use crate::report::{Culprit, Rescue, StallCause};
use crate::thread_state::cpu_time;

/// A stall that goes on is looked at again when it has lasted for so long.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// So many looks before a stall is due to be reported, a thread that computes
/// is asked for its stack, since it takes a moment to answer.
const LOOKS_AHEAD: u32 = 2;

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
    /// How long it has gone on, as far as the guard was awake to see it: a
    /// process that is stopped as a whole does not age.
    lasted: Duration,
    /// By how much longer it may have gone on, before it was first seen.
    unseen: Duration,
    /// How long it has gone on by the clock: what people are told.
    span: Span,
    /// What the thread had used of a CPU when it was first seen.
    cpu_then: Option<Duration>,
    sight: Sight,
    rescue: Option<Rescue>,
    /// Its thread was asked for its stack ahead of time.
    is_near: bool,
    /// The number of the report, once there is one.
    told: Option<u64>,
    /// When it is to be looked at again after that, of `AGAIN`.
    again: usize,
}

impl Eye {
    /// Looks at a thread; says whether anything goes on there.
    pub(super) fn look(&mut self, entry: &Arc<Entry>, round: &mut Round) -> bool {
        let seen = entry.post.look();
        match &mut self.poll {
            Some(poll) if poll.seen == seen => {
                poll.lasted += round.step;
                poll.span.goes_on(round.now);
                poll.go_on(entry, round);
                true
            }
            _ => {
                self.close(entry, round.now);
                if seen.running() == Running::NOTHING {
                    return false;
                }
                self.poll = Some(Poll::new(seen, round, entry));
                true
            }
        }
    }

    /// What was going on has ended, between the last look and `now`.
    pub(super) fn close(&mut self, entry: &Entry, now: Instant) {
        if let Some(poll) = self.poll.take() {
            poll.close(entry, now);
        }
    }
}

impl Poll {
    fn new(seen: Seen, round: &Round, entry: &Entry) -> Poll {
        Poll {
            seen,
            lasted: Duration::ZERO,
            unseen: round.step,
            span: Span::new(round.now, round.passed),
            cpu_then: cpu_time(entry.target.tid()),
            sight: Sight::default(),
            rescue: None,
            is_near: false,
            told: None,
            again: 0,
        }
    }

    fn is_relieved(&self) -> bool {
        matches!(self.rescue, Some(Rescue::Done))
    }

    /// It goes on still: what to do about it.
    fn go_on(&mut self, entry: &Arc<Entry>, round: &mut Round) {
        round.is_uneasy = true;
        if self.is_relieved() {
            entry.host.sweep();
        }
        let budget = entry.settings.budget;
        let wants_rescue = round.is_too_long(self.lasted, self.unseen, budget)
            && matches!(self.rescue, None | Some(Rescue::Failed(_)));
        let wants_report = match self.told {
            None => self.lasted >= budget,
            Some(_) => AGAIN.get(self.again).is_some_and(|at| self.lasted >= *at),
        };
        let is_near = self.told.is_none() && self.lasted + round.period * LOOKS_AHEAD >= budget;
        if !(wants_rescue || wants_report || is_near) {
            return;
        }
        let tid = entry.target.tid();
        let used = match (cpu_time(tid), self.cpu_then) {
            (Some(now), Some(then)) => now.saturating_sub(then),
            // It has ended, or nobody says.
            _ => Duration::ZERO,
        };
        let judged = self.sight.look(tid, (self.lasted, used), budget);
        // First the others, then the words.
        if wants_rescue && judged.may_be_stuck {
            self.rescue(entry, round);
        }
        if let Some(cause) = judged.stuck_in
            && wants_report
        {
            self.tell(entry, cause, used);
        } else if is_near && judged.is_computing && !self.is_near {
            self.is_near = true;
            copier::near(entry, self.seen);
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

    fn tell(&mut self, entry: &Arc<Entry>, cause: StallCause, used: Duration) {
        let asked = Asked {
            seen: self.seen,
            task: entry.post.task(),
            cause,
            lasted: self.span.so_far(),
            used,
            rescue: self.rescue.clone().unwrap_or(Rescue::NotNeeded),
        };
        if entry.post.look() != self.seen {
            // It went on before its task was read.
            return;
        }
        match self.told {
            Some(number) => copier::found_again(number, entry, asked),
            None => {
                entry.host.counters().stalls.fetch_add(1, Relaxed);
                self.told = Some(copier::found(entry, asked));
            }
        }
        let is_past = |at: &&Duration| **at <= self.lasted;
        self.again = AGAIN.iter().take_while(is_past).count();
    }

    fn close(self, entry: &Entry, now: Instant) {
        if self.is_relieved() {
            // What it queued in its last moments.
            entry.host.sweep();
        }
        match self.told {
            Some(number) => copier::ended(number, self.span.ended(now)),
            None if self.lasted >= entry.settings.budget => {
                entry.host.counters().starved.fetch_add(1, Relaxed);
            }
            None => {}
        }
    }
}

/// A stall that is to be told of, as the guard saw it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) seen: Seen,
    task: u64,
    pub(super) cause: StallCause,
    lasted: Duration,
    used: Duration,
    rescue: Rescue,
}

impl Asked {
    /// Finds out what else there is to know; not on the guard's thread.
    pub(super) fn find(self, entry: &Entry, copied: Result<Copied, NoStack>) -> Found {
        // It must fit the stack.
        let cause = match &copied {
            Ok(Copied {
                wait: Some(wait), ..
            }) => StallCause::Blocked(wait.syscall),
            Ok(_) => StallCause::Computing,
            Err(_) => self.cause,
        };
        Found {
            culprit: Culprit::new(self.seen.running(), self.task),
            cause,
            lasted: self.lasted,
            cpu: self.used,
            tid: entry.target.tid(),
            role: entry.host.role(),
            thread: entry.thread.name().map(Into::into),
            runtime: entry.host.runtime_name(),
            runtime_number: entry.host.counters().runtime,
            rescue: self.rescue,
            pinned: entry.post.pinned(),
            stack: copied,
        }
    }
}
