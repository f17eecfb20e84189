//! What the guard remembers of one thread, and how it judges what it sees.
//!
//! All but [`Asked::find`] runs on the guard's thread: it waits for nobody,
//! and allocates and frees nothing (`engine` says why).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::engine::Round;
use super::entry::Entry;
use super::host::Relief;
use super::reporter::{self, Found};
use super::starter;
use crate::capture::{NoStack, RawStack, capture};
use crate::post::{Running, Seen};
use crate::report::{Culprit, StallCause};
use crate::thread_state::{ThreadState, cpu_time, state_of};

/// A thread that computes must have had a CPU for this part of what makes a
/// stall; less, and it was starved of it by others.
const CPU_PART: u32 = 4;

/// How long the reporter waits for a stuck thread to copy its stack. It takes
/// some 50 µs; a thread that waits for a CPU takes longer, and is asked again
/// after a while.
const CAPTURE_PATIENCE: Duration = Duration::from_millis(1);
const CAPTURE_PAUSE: Duration = Duration::from_millis(2);
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
    rescue: Option<Relief>,
    is_starved: bool,
    /// The number of the report, once there is one.
    told: Option<u64>,
}

impl Eye {
    /// Looks at a thread; says whether anything goes on there.
    pub(super) fn look(&mut self, entry: &Arc<Entry>, round: &mut Round) -> bool {
        let seen = entry.post.look();
        match &mut self.poll {
            Some(poll) if poll.seen == seen => {
                poll.lasted += round.step;
                poll.go_on(entry, round);
                true
            }
            _ => {
                if let (Some(poll), Some(kept)) = (&self.poll, round.kept) {
                    poll.ended_unseen(entry, kept);
                }
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
            if poll.is_relieved() && entry.host.has_leftovers() {
                // What it queued in its last moments.
                starter::call();
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
            told: None,
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

    fn tell(&mut self, entry: &Arc<Entry>, cause: StallCause) {
        entry.host.counters().stalls.fetch_add(1, Relaxed);
        let asked = self.ask(entry, cause);
        self.told = Some(reporter::found(entry, asked));
    }

    fn ask(&self, entry: &Entry, cause: StallCause) -> Asked {
        Asked {
            seen: self.seen,
            task: entry.post.task(),
            cause,
            lasted: self.lasted,
            rescue: self.rescue.unwrap_or(Relief::Nothing),
        }
    }

    /// It ended while the guard was kept from looking.
    fn ended_unseen(&self, entry: &Arc<Entry>, kept: Duration) {
        if self.told.is_none() {
            let asked = self.ask(entry, StallCause::Blocked(None));
            reporter::held_up(entry, asked, kept);
        }
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
            ThreadState::Stopped => None,
            // There, but nobody says what it does: no descriptor is free, or
            // `/proc` is not there.
            ThreadState::Gone => cpu_time(tid).map(|_| StallCause::Blocked(None)),
        }
    }
}

/// A stall that is to be told of, as the guard saw it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    seen: Seen,
    task: u64,
    cause: StallCause,
    pub(super) lasted: Duration,
    rescue: Relief,
}

impl Asked {
    pub(super) fn culprit(&self) -> Culprit {
        Culprit::new(self.seen.running(), self.task)
    }

    /// Finds out what else there is to know. Runs on the reporter's thread.
    pub(super) fn find(self, entry: &Entry) -> Found {
        let stack = self.copy(entry);
        Found {
            culprit: self.culprit(),
            cause: self.cause,
            lasted: self.lasted,
            role: entry.host.role(),
            thread: entry.thread.name().map(Into::into),
            runtime: entry.host.runtime_name(),
            runtime_number: entry.host.counters().runtime,
            rescue: self.rescue.to_rescue(),
            pinned: entry.post.pinned(),
            stack,
        }
    }

    fn copy(&self, entry: &Entry) -> Result<RawStack, String> {
        let is_over = || entry.post.look() != self.seen;
        for attempt in 1.. {
            let copied = if is_over() {
                Err(NoStack::Gone)
            } else {
                capture(&entry.target, entry.settings.signal, CAPTURE_PATIENCE)
            };
            if is_over() {
                // It went on before its stack was copied.
                return Err("the poll was over before it could be copied".into());
            }
            let may_come = copied.as_ref().is_err_and(NoStack::may_pass);
            if !may_come || attempt == CAPTURES_MAX {
                return copied.map_err(|why| why.to_string());
            }
            std::thread::sleep(CAPTURE_PAUSE);
        }
        unreachable!("it returns at the last attempt")
    }
}
