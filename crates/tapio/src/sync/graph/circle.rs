//! Circles of waits: found when they close, told when they are proved.
//!
//! A user that waits for a lock may also wait for something else: a timer, a
//! socket, another branch of a `select!`. A circle is a deadlock beyond doubt
//! only if nothing but its own locks wakes anybody in it. For a task that is
//! known: it waits, and nobody else has a waker of it. That cannot be asked
//! while the task is still being polled, as the one that closes the circle is;
//! so the guard asks, a moment later.
//!
//! A circle that cannot be proved is told when it has lasted, counted from the
//! last time that one of its locks was given to anybody, unless a program that
//! is in order looks the same. A task that seems to wait for itself may have
//! another branch that works with the lock, or have given its guard away; one
//! that waits for several locks at once has branches for sure. Of those, the
//! report on a lock held for long says what there is to say.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::knot::{Knot, Stock, Want};
use super::{Graph, Waking};
use crate::cell::{self, Wakers};
use crate::report::{Doubts, LockKind, Report};
use crate::sync::actor::Actor;
use crate::sync::budget;

/// Wakers of a task for each of its waits: the lock's queue and the graph
/// keep one each.
const WAKERS_PER_WAIT: usize = 2;

/// Circles that are looked at again at most; what closes beyond is found when
/// it has lasted.
const SUSPECTS_MAX: usize = 256;

/// A circle that is not proved, by the wait that closed it.
#[derive(Debug)]
pub(super) struct Suspect {
    key: usize,
    serial: u64,
    /// There is nothing to ask again until it has lasted.
    is_open: bool,
}

/// What is known of a circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Nothing else wakes anybody in it.
    Sure,
    /// Somebody in it runs at this moment.
    Busy,
    /// Something else may.
    Open(Doubts),
}

impl Proof {
    /// What is known of two, by what is known of each.
    fn and(self, other: Proof) -> Proof {
        match (self, other) {
            (Proof::Open(some), Proof::Open(more)) => Proof::Open(some.and(more)),
            (Proof::Open(doubts), _) | (_, Proof::Open(doubts)) => Proof::Open(doubts),
            (Proof::Busy, _) | (_, Proof::Busy) => Proof::Busy,
            (Proof::Sure, Proof::Sure) => Proof::Sure,
        }
    }
}

impl Graph {
    /// Looks for a circle that the wait `key` closes.
    pub(super) fn closing(&mut self, key: usize) -> Vec<Report> {
        let Some((circle, proof)) = self.judge(key) else {
            return Vec::new();
        };
        if proof == Proof::Sure {
            return self.tell(&circle, None);
        }
        if self.suspects.len() < SUSPECTS_MAX {
            self.suspects.push(Suspect {
                key,
                serial: self.waits[key].serial,
                is_open: matches!(proof, Proof::Open(_)),
            });
        }
        Vec::new()
    }

    /// Looks at suspects again; says when next to.
    pub(super) fn ask_again(&mut self, now: Instant, reports: &mut Vec<Report>) -> Option<Instant> {
        /// How soon a task that runs is asked again.
        const SOON: Duration = Duration::from_millis(1);
        let mut due: Option<Instant> = None;
        for mut suspect in std::mem::take(&mut self.suspects) {
            let is_there = self
                .waits
                .get(suspect.key)
                .is_some_and(|wait| wait.serial == suspect.serial);
            let Some((circle, proof)) = is_there.then(|| self.judge(suspect.key)).flatten() else {
                continue;
            };
            if proof == Proof::Sure {
                reports.extend(self.tell(&circle, None));
                continue;
            }
            let closed = self.waits_of(&circle).map(|key| self.unchanged_since(key));
            let closed = closed.max().unwrap_or(now);
            let late = closed + budget::lasting();
            suspect.is_open |= matches!(proof, Proof::Open(_));
            let again = match proof {
                Proof::Open(doubts) if now >= late => {
                    if self.is_likely(&circle, doubts) {
                        reports.extend(self.tell(&circle, Some((now - closed, doubts))));
                        continue;
                    }
                    // It may be proved yet, when a timer is gone for example.
                    now + (now - closed)
                }
                _ if suspect.is_open && now < late => late,
                _ => now + SOON,
            };
            due = Some(due.map_or(again, |due| due.min(again)));
            self.suspects.push(suspect);
        }
        due
    }

    /// Suspects the wait `key`, which has lasted, if it is in a circle.
    pub(super) fn suspect_late(&mut self, key: usize) {
        if self.judge(key).is_some() && self.suspects.len() < SUSPECTS_MAX {
            let serial = self.waits[key].serial;
            if self.suspects.iter().all(|other| other.serial != serial) {
                self.suspects.push(Suspect {
                    key,
                    serial,
                    is_open: true,
                });
            }
        }
    }

    /// The circle that a wait is in, unless it was told.
    fn judge(&self, key: usize) -> Option<(Vec<Actor>, Proof)> {
        let actor = self.waits[key].here.actor;
        let (circle, is_moved) = match self.circle(actor, false) {
            Some(circle) => (circle, false),
            None => (self.circle(actor, true)?, true),
        };
        let proof = self.prove(&circle, is_moved);
        let is_told = self.waits_of(&circle).all(|key| self.waits[key].is_told);
        (!is_told).then_some((circle, proof))
    }

    /// Those that wait for one another with `start`; holds that can be given
    /// away count if `movable`.
    fn circle(&self, start: Actor, movable: bool) -> Option<Vec<Actor>> {
        let mut actors = vec![start];
        let mut numbers = HashMap::from([(start, 0)]);
        let mut locks: HashMap<usize, usize> = HashMap::new();
        let mut knot = Knot::default();
        let mut read = 0;
        while let Some(actor) = actors.get(read).copied() {
            read += 1;
            let mut wants = Vec::new();
            for key in &self.by_actor[&actor] {
                let wait = &self.waits[*key];
                let lock = *locks.entry(wait.queue).or_insert_with(|| {
                    let stock = self.stock(wait.queue, movable, |holder| {
                        *numbers.entry(holder).or_insert_with(|| {
                            actors.push(holder);
                            actors.len() - 1
                        })
                    });
                    knot.locks.push(stock);
                    knot.locks.len() - 1
                });
                let permits = if knot.locks[lock].held.is_empty() {
                    // Free as far as anybody who waits is concerned.
                    0
                } else {
                    self.permits_up_to(wait.queue, *key)
                };
                wants.push(Want { lock, permits });
            }
            knot.waits.push(wants);
        }
        let circle = knot.around(0)?;
        Some(circle.into_iter().map(|number| actors[number]).collect())
    }

    /// A lock with those of its holders that wait themselves.
    fn stock(&self, queue: usize, movable: bool, mut number: impl FnMut(Actor) -> usize) -> Stock {
        let ledger = &self.queues[&queue].ledger;
        let mut held = Vec::new();
        if !ledger.is_loose() {
            for (_, hold) in ledger.holds() {
                // A permit that is owned is owned to be given away.
                let is_permit = ledger.info.kind == LockKind::Semaphore;
                let is_sure = !hold.is_movable || (movable && !is_permit);
                if is_sure && self.by_actor.contains_key(&hold.here.actor) {
                    held.push((number(hold.here.actor), hold.permits as usize));
                }
            }
        }
        Stock {
            total: ledger.total,
            held,
        }
    }

    /// The most that the wait `key` or anybody before it asks for.
    fn permits_up_to(&self, queue: usize, key: usize) -> usize {
        let queue = &self.queues[&queue];
        if queue.ledger.total == 1 {
            return 1;
        }
        let before = queue.waits.iter().take_while(|other| **other != key);
        let most = before.map(|other| self.waits[*other].ask.permits).max();
        most.unwrap_or(0).max(self.waits[key].ask.permits) as usize
    }

    /// Whether nothing but the circle's locks wakes anybody in it, as far as
    /// guards were not given away.
    fn prove(&self, circle: &[Actor], is_moved: bool) -> Proof {
        let is_added = self.waits_of(circle).any(|key| {
            let ledger = &self.queues[&self.waits[key].queue].ledger;
            ledger.info.kind == LockKind::Semaphore
        });
        let doubts = Doubts {
            guard_may_be_elsewhere: is_moved,
            permits_may_be_added: is_added,
            may_be_woken: false,
        };
        let locks = if doubts == Doubts::default() {
            Proof::Sure
        } else {
            Proof::Open(doubts)
        };
        circle
            .iter()
            .map(|actor| self.prove_one(*actor))
            .fold(locks, Proof::and)
    }

    fn prove_one(&self, actor: Actor) -> Proof {
        const WOKEN: Proof = Proof::Open(Doubts {
            guard_may_be_elsewhere: false,
            permits_may_be_added: false,
            may_be_woken: true,
        });
        let keys = &self.by_actor[&actor];
        let mut worst = Proof::Sure;
        for key in keys {
            worst = worst.and(match &self.waits[*key].waking {
                // The thread sleeps in this wait, whatever else there is.
                Waking::Blocked => return Proof::Sure,
                Waking::Task(waker) => {
                    match cell::other_wakers(waker, keys.len() * WAKERS_PER_WAIT) {
                        Some(Wakers::None) => Proof::Sure,
                        Some(Wakers::Busy) => Proof::Busy,
                        Some(Wakers::Others) | None => WOKEN,
                    }
                }
                Waking::Main(main) => match main.wakers() {
                    // The graph has none.
                    Some(wakers) if wakers <= keys.len() => Proof::Sure,
                    Some(_) => WOKEN,
                    None => Proof::Busy,
                },
                // Nothing can be known of it: another executor's futures have
                // branches too.
                Waking::Foreign | Waking::Unknown => WOKEN,
            });
        }
        worst
    }

    /// Whether a circle that has lasted and is not proved is to be told all
    /// the same: not if a program that is in order looks like it.
    fn is_likely(&self, circle: &[Actor], doubts: Doubts) -> bool {
        if circle.len() == 1 {
            // Another branch has the lock, or somebody else its guard.
            return !doubts.guard_may_be_elsewhere && !doubts.may_be_woken;
        }
        let has_branches = |actor: &Actor| {
            let keys = &self.by_actor[actor];
            // Or what polls it is a collection of futures inside of a task.
            let is_in_collection = |key: &usize| matches!(self.waits[*key].waking, Waking::Unknown);
            keys.len() > 1 || keys.iter().any(is_in_collection)
        };
        !(doubts.may_be_woken && circle.iter().any(has_branches))
    }

    /// Since when nothing has changed for a wait: neither it nor who has its
    /// lock.
    fn unchanged_since(&self, key: usize) -> Instant {
        let wait = &self.waits[key];
        wait.since.max(self.queues[&wait.queue].given_at)
    }

    pub(super) fn waits_of<'a>(&'a self, circle: &'a [Actor]) -> impl Iterator<Item = usize> + 'a {
        circle
            .iter()
            .flat_map(|actor| self.by_actor[actor].iter().copied())
    }

    fn tell(&mut self, circle: &[Actor], lasted: Option<(Duration, Doubts)>) -> Vec<Report> {
        let report = self.deadlock(circle, lasted);
        let keys: Vec<usize> = self.waits_of(circle).collect();
        for key in keys {
            self.waits[key].is_told = true;
        }
        vec![Report::Deadlock(report)]
    }
}
