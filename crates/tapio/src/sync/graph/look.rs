//! What the guard looks at on its rounds: circles that are not proved, locks
//! that are held for long, and locks given to futures that nobody polls.

use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use super::{GRAPH, Graph, Queue, Waking};
use crate::cell::{self, Wakers};
use crate::report::{Futurelock, LockKind, Report};
use crate::rounds;
use crate::sync::ledger::{Hold, HoldId};
use crate::sync::{budget, say};

/// Looks for each budget, beside those that are due earlier.
const LOOKS_PER_BUDGET: u32 = 8;

/// Readers of one lock that are watched.
const WATCHED_MAX: usize = 16;

/// When the guard is to look again.
#[derive(Debug, Default)]
pub(super) struct Due(Option<Instant>);

/// A hold of a lock that others wait for.
#[derive(Debug)]
pub(super) struct Watched {
    id: HoldId,
    /// Since when it is known to keep others waiting.
    since: Instant,
    /// What was told of it, if anything was.
    told: Option<Option<Hold>>,
}

/// The first in line, found with the lock as good as its own.
#[derive(Debug)]
pub(super) struct Head {
    serial: u64,
    since: Instant,
    is_told: bool,
}

impl Due {
    /// Has the guard look at `at` at the latest; whether it must be called.
    pub(super) fn bring_forward(&mut self, at: Instant) -> bool {
        let is_news = self.0.is_none_or(|due| at < due);
        if is_news {
            self.0 = Some(at);
        }
        is_news
    }
}

/// When the guard's next look is due.
pub(super) fn due() -> rounds::Due {
    // Whoever has the graph may wait for memory, which the guard must not.
    match GRAPH.try_lock().map(|graph| graph.due.0) {
        None => rounds::Due::Busy,
        Some(None) => rounds::Due::Never,
        Some(Some(at)) => rounds::Due::At(at),
    }
}

/// The guard's look, by another thread.
pub(super) fn look(now: Instant) {
    let mut graph = GRAPH.lock();
    if graph.due.0.is_none_or(|due| now < due) {
        return;
    }
    let mut reports = Vec::new();
    let late = graph.find_late(now);
    let suspects = graph.ask_again(now, &mut reports);
    let queues = graph.look_at_queues(now, &mut reports);
    let soonest = now + budget::get() / LOOKS_PER_BUDGET;
    let others = late.into_iter().chain(queues).min();
    let due = suspects
        .into_iter()
        .chain(others.map(|at| at.max(soonest)))
        .min();
    graph.due.0 = due;
    drop(graph);
    say::all(reports);
}

impl Graph {
    /// Suspects each wait once when it has lasted for the budget, whatever
    /// was found when it began: a circle may also close when somebody with two
    /// waits is given one of the locks.
    fn find_late(&mut self, now: Instant) -> Option<Instant> {
        let budget = budget::lasting();
        let unseen = self.waits.iter().filter(|(_, wait)| !wait.is_seen_late);
        let (late, early): (Vec<_>, Vec<_>) = unseen
            .map(|(key, wait)| (key, wait.since + budget))
            .partition(|(_, at)| *at <= now);
        for (key, _) in late {
            self.waits[key].is_seen_late = true;
            self.suspect_late(key);
        }
        early.into_iter().map(|(_, at)| at).min()
    }

    /// Looks at every lock that is waited for; says when next to.
    fn look_at_queues(&mut self, now: Instant, reports: &mut Vec<Report>) -> Option<Instant> {
        let mut due: Option<Instant> = None;
        let mut queues = std::mem::take(&mut self.queues);
        for queue in queues.values_mut() {
            queue.watch_all(now);
            reports.extend(queue.strike_over(now));
        }
        // Reports name users by all queues.
        self.queues = queues;
        let addresses: Vec<usize> = self.queues.keys().copied().collect();
        for address in addresses {
            let mut queue = self.queues.remove(&address).expect("it was there just now");
            let mut next = self.look_at(&mut queue, now, reports);
            if next.is_none() {
                // Nothing to look at again, unless somebody releases it.
                queue.ledger.want_word(true);
                // Pairs with the release's own atomics: see `wants_word`.
                fence(Ordering::SeqCst);
                next = queue.head_is_free(self).then_some(now);
            }
            due = due.into_iter().chain(next).min();
            self.queues.insert(address, queue);
        }
        due
    }

    fn look_at(
        &self,
        queue: &mut Queue,
        now: Instant,
        reports: &mut Vec<Report>,
    ) -> Option<Instant> {
        let budget = budget::get();
        if budget::is_off() || queue.ledger.is_loose() {
            return None;
        }
        let held = self.look_at_holds(queue, now, reports);
        let head = self.look_at_head(queue, now, reports);
        let next = held.into_iter().chain(head).min();
        next.map(|since| since + budget)
    }

    /// Since when the youngest hold that is not told of has lasted.
    fn look_at_holds(
        &self,
        queue: &mut Queue,
        now: Instant,
        reports: &mut Vec<Report>,
    ) -> Option<Instant> {
        let holds = queue.ledger.holds();
        let mut watched = std::mem::take(&mut queue.watched);
        let mut due: Option<Instant> = None;
        for watched in watched.iter_mut().filter(|watched| watched.told.is_none()) {
            let Some((_, hold)) = holds.iter().find(|(id, _)| *id == watched.id) else {
                continue;
            };
            if now < watched.since + budget::get() {
                due = Some(due.map_or(watched.since, |due| due.min(watched.since)));
                continue;
            }
            let is_deadlock = self
                .by_actor
                .get(&hold.here.actor)
                .is_some_and(|keys| keys.iter().any(|key| self.waits[*key].is_told));
            if is_deadlock || !say::is_new(&queue.ledger, hold.place, now) {
                watched.told = Some(None);
                continue;
            }
            watched.told = Some(Some(*hold));
            let report = self.lock_held(queue, hold, now - watched.since);
            reports.push(Report::LockHeld(report));
        }
        queue.watched = watched;
        due
    }

    /// Since when the first in line has had the lock without taking it.
    fn look_at_head(
        &self,
        queue: &mut Queue,
        now: Instant,
        reports: &mut Vec<Report>,
    ) -> Option<Instant> {
        if !queue.head_is_free(self) {
            queue.head = None;
            return None;
        }
        let wait = &self.waits[*queue.waits.front()?];
        let is_busy = match &wait.waking {
            Waking::Task(waker) => cell::other_wakers(waker, 0) == Some(Wakers::Busy),
            Waking::Main(main) => main.wakers().is_none(),
            Waking::Blocked | Waking::Foreign | Waking::Unknown => false,
        };
        let head = match &mut queue.head {
            // What is about to be polled will be, however late.
            Some(head) if head.serial == wait.serial && !is_busy => head,
            _ => {
                queue.head = Some(Head {
                    serial: wait.serial,
                    since: now,
                    is_told: false,
                });
                return Some(now);
            }
        };
        if head.is_told {
            return None;
        }
        if now < head.since + budget::get() {
            return Some(head.since);
        }
        head.is_told = true;
        let lasted = now - head.since;
        if say::is_new(&queue.ledger, wait.ask.place, now) {
            reports.push(Report::Futurelock(Futurelock {
                lock: queue.ledger.info.clone(),
                user: wait.user(),
                at: wait.ask.place,
                lasted,
                behind: self.waiters(queue, 1),
                behind_count: queue.waits.len() - 1,
            }));
        }
        None
    }
}

impl Queue {
    /// Whether the first in line has the lock, as far as anybody knows.
    fn head_is_free(&self, graph: &Graph) -> bool {
        let Some(key) = self.waits.front() else {
            return false;
        };
        let holds = self.ledger.holds();
        let kept: usize = holds.iter().map(|(_, hold)| hold.permits as usize).sum();
        let asked = graph.waits[*key].ask.permits as usize;
        !self.ledger.is_loose() && asked + kept <= self.ledger.total
    }

    /// Whether holding it while others wait is worth a word: a semaphore of
    /// several permits is there for that.
    fn is_exclusive(&self) -> bool {
        self.ledger.info.kind != LockKind::Semaphore || self.ledger.total == 1
    }

    /// Watches those holds that were not yet.
    pub(super) fn watch_all(&mut self, now: Instant) {
        if self.is_exclusive() {
            for (id, _) in self.ledger.holds() {
                self.watch(id, now);
            }
        }
    }

    pub(super) fn watch(&mut self, id: HoldId, now: Instant) {
        if !self.is_exclusive() || self.watched.len() >= WATCHED_MAX {
            return;
        }
        if self.watched.iter().all(|watched| watched.id != id) {
            self.watched.push(Watched {
                id,
                since: now,
                told: None,
            });
        }
    }

    /// Forgets holds that are over, and those of a lock that nobody waits for
    /// any more; says so of those that were told of.
    pub(super) fn strike_over(&mut self, now: Instant) -> Vec<Report> {
        let is_waited_for = !self.waits.is_empty();
        let mut reports = Vec::new();
        let mut watched = std::mem::take(&mut self.watched);
        watched.retain(|watched| {
            let is_held = self.ledger.is_held(watched.id);
            if is_held && is_waited_for {
                return true;
            }
            if let Some(Some(hold)) = &watched.told {
                let lasted = now - watched.since;
                let report = self.lock_released(hold, lasted, !is_held);
                reports.push(Report::LockReleased(report));
            }
            false
        });
        self.watched = watched;
        reports
    }
}
