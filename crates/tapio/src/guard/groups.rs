//! Stalls by what they have in common: which are reported in full, and which
//! are only counted.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::copying::Copied;
use super::std_locks::StdLocks;
use crate::capture::NoStack;
use crate::report::{Culprit, LimitHit, Report, Rescue, Stall, StallCause, StallEnded};

/// The same stack is reported once in so long; what came meanwhile is counted
/// and said in one line.
const WINDOW: Duration = Duration::from_secs(10);
/// Stacks told apart within one window; the rest is only counted.
const GROUPS_MAX: usize = 256;

/// The number of the next stall that is reported in full. Relaxed: it only
/// tells them apart.
static NEXT_STALL: AtomicU64 = AtomicU64::new(1);

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

/// What stalls have in common that are reported as one: their runtime and
/// their stack.
type Key = (u64, u64);

/// Stalls by what they have in common.
#[derive(Default)]
pub(super) struct Groups {
    by_key: HashMap<Key, Group>,
    /// Stalls of which nothing is said but how many they were, and when that
    /// was last said.
    pub(super) unsaid: u64,
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
    pub(super) fn found(&mut self, number: u64, found: Found) {
        let runtime = found.runtime_number;
        let (stall, _) = found.into_stall();
        self.say(number, (runtime, stall.key()), stall);
    }

    /// Says of a stall that goes on what it has come to.
    pub(super) fn again(&mut self, number: u64, found: Found) {
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

    pub(super) fn ended(&mut self, number: u64, lasted: Duration) {
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
    pub(super) fn settle(&mut self, all: bool) {
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

    pub(super) fn is_settled(&self) -> bool {
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
