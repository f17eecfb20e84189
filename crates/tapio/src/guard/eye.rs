//! What the guard remembers of one thread, and how it judges what it sees.
//!
//! All but [`Asked::find`] runs on the guard's thread: it waits for nobody,
//! and allocates and frees nothing (`engine` says why).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::copier;
use super::copying::Copied;
use super::engine::Round;
use super::entry::Entry;
use super::groups::Found;
use super::host::Relief;
use super::reporter;
use super::sight::Sight;
use super::span::Span;
use super::starter;
use crate::capture::NoStack;
use crate::post::{Running, Seen};
use crate::report::{Culprit, StallCause};
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
    rescue: Option<Relief>,
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
                if let (Some(poll), Some(kept)) = (&self.poll, round.kept) {
                    poll.ended_unseen(entry, kept);
                }
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
        self.rescue == Some(Relief::Done)
    }

    /// It goes on still: what to do about it.
    fn go_on(&mut self, entry: &Arc<Entry>, round: &mut Round) {
        round.is_uneasy = true;
        if self.is_relieved() && entry.host.has_leftovers() {
            starter::call();
        }
        let budget = entry.settings.budget;
        let wants_rescue = round.is_too_long(self.lasted, self.unseen, budget)
            && self.rescue.is_none_or(Relief::may_change);
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

    fn rescue(&mut self, entry: &Arc<Entry>, round: &mut Round) {
        let relief = entry.host.relieve();
        let counters = entry.host.counters();
        match relief {
            Relief::Done => {
                round.has_rescued = true;
                counters.rescues.fetch_add(1, Relaxed);
                // Somebody is to stand by again, and to sweep up.
                starter::call();
            }
            Relief::Limit { is_news, .. } => {
                if !matches!(self.rescue, Some(Relief::Limit { .. })) {
                    counters.substitute_limit_hits.fetch_add(1, Relaxed);
                }
                if is_news {
                    reporter::limit(entry);
                }
                starter::call();
            }
            Relief::NoThread(_) | Relief::Starting | Relief::InHook => starter::call(),
            Relief::Nothing | Relief::Moved | Relief::Off => {}
        }
        self.rescue = (relief != Relief::Moved).then_some(relief);
    }

    fn tell(&mut self, entry: &Arc<Entry>, cause: StallCause, used: Duration) {
        let asked = self.ask(entry, cause, used);
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

    fn ask(&self, entry: &Entry, cause: StallCause, used: Duration) -> Asked {
        Asked {
            seen: self.seen,
            task: entry.post.task(),
            cause,
            lasted: self.span.so_far(),
            used,
            rescue: self.rescue.unwrap_or(Relief::Nothing),
        }
    }

    /// It ended while the guard was kept from looking.
    fn ended_unseen(&self, entry: &Arc<Entry>, kept: Duration) {
        if self.told.is_none() {
            let asked = self.ask(entry, StallCause::Blocked(None), Duration::ZERO);
            reporter::held_up(entry, asked, kept);
        }
    }

    fn close(self, entry: &Entry, now: Instant) {
        if self.is_relieved() && entry.host.has_leftovers() {
            // What it queued in its last moments.
            starter::call();
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
    pub(super) lasted: Duration,
    used: Duration,
    rescue: Relief,
}

impl Asked {
    pub(super) fn culprit(&self) -> Culprit {
        Culprit::new(self.seen.running(), self.task)
    }

    /// Finds out what else there is to know; not on the guard's thread.
    pub(super) fn find(self, entry: &Entry, copied: Result<Copied, NoStack>) -> Found {
        // It must fit the stack.
        let cause = match &copied {
            Ok(Copied {
                wait: Some(wait), ..
            }) => StallCause::Blocked(wait.syscall),
            Ok(_) => StallCause::Computing,
            Err(_) => self.cause.clone(),
        };
        Found {
            culprit: self.culprit(),
            cause,
            lasted: self.lasted,
            cpu: self.used,
            tid: entry.target.tid(),
            role: entry.host.role(),
            thread: entry.thread.name().map(Into::into),
            runtime: entry.host.runtime_name(),
            runtime_number: entry.host.counters().runtime,
            rescue: self.rescue.to_rescue(),
            pinned: entry.post.pinned(),
            stack: copied,
        }
    }
}
