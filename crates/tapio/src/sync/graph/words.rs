//! What was found in the graph, as reports.

use std::collections::HashMap;
use std::time::Duration;

use super::{Graph, Queue, Wait, Waiter};
use crate::report::{
    Deadlock, DeadlockParty, Doubts, LockHeld, LockReleased, LockUse, LockUser, TaskInfo,
};
use crate::sync::actor::{Actor, Here};
use crate::sync::ledger::Hold;
use crate::task_id::Id;

/// How many of those who wait a report names.
const WAITERS_NAMED_MAX: usize = 8;

impl Graph {
    pub(super) fn deadlock(
        &self,
        circle: &[Actor],
        lasted: Option<(Duration, Doubts)>,
    ) -> Deadlock {
        let mut holds = self.holds_of(circle);
        let parties = circle.iter().map(|actor| {
            let keys = &self.by_actor[actor];
            DeadlockParty {
                user: self.waits[keys[0]].user(),
                holds: holds.remove(actor).unwrap_or_default(),
                waits: keys.iter().map(|key| self.lock_wait(*key)).collect(),
            }
        });
        Deadlock {
            parties: parties.collect(),
            lasted: lasted.map(|(lasted, _)| lasted),
            doubts: lasted.map_or(Doubts::default(), |(_, doubts)| doubts),
        }
    }

    /// What each in a circle holds of what others in it wait for.
    fn holds_of(&self, circle: &[Actor]) -> HashMap<Actor, Vec<LockUse>> {
        let mut queues: Vec<usize> = self
            .waits_of(circle)
            .map(|key| self.waits[key].queue)
            .collect();
        queues.sort_unstable();
        queues.dedup();
        let mut holds: HashMap<Actor, Vec<LockUse>> = HashMap::new();
        for queue in queues {
            let ledger = &self.queues[&queue].ledger;
            for (_, hold) in ledger.holds() {
                holds.entry(hold.here.actor).or_default().push(LockUse {
                    lock: ledger.info.clone(),
                    at: hold.place,
                    behind: Vec::new(),
                });
            }
        }
        holds
    }

    fn lock_wait(&self, key: usize) -> LockUse {
        let wait = &self.waits[key];
        let queue = &self.queues[&wait.queue];
        let holds = queue.ledger.holds();
        let kept: usize = holds.iter().map(|(_, hold)| hold.permits as usize).sum();
        let free = queue.ledger.total.saturating_sub(kept);
        let before = queue.waits.iter().take_while(|other| **other != key);
        // It could have the lock beside its holders, were it not for these.
        let behind = if wait.ask.permits as usize <= free {
            before
                .map(|other| &self.waits[*other])
                .filter(|other| other.ask.permits as usize > free)
                .take(WAITERS_NAMED_MAX)
                .map(|other| (other.user(), other.ask.place))
                .collect()
        } else {
            Vec::new()
        };
        LockUse {
            lock: queue.ledger.info.clone(),
            at: wait.ask.place,
            behind,
        }
    }

    /// The first of those who wait, but for `skipped` of them.
    pub(super) fn waiters(&self, queue: &Queue, skipped: usize) -> Vec<Waiter> {
        let waits = queue.waits.iter().skip(skipped).take(WAITERS_NAMED_MAX);
        waits
            .map(|key| (self.waits[*key].user(), self.waits[*key].ask.place))
            .collect()
    }

    pub(super) fn lock_held(&self, queue: &Queue, hold: &Hold, lasted: Duration) -> LockHeld {
        LockHeld {
            lock: queue.ledger.info.clone(),
            holder: self.holder(hold),
            at: hold.place,
            lasted,
            waiters: self.waiters(queue, 0),
            waiters_count: queue.waits.len(),
            is_waited_for_by_holder: queue.is_waited_for_by(self, hold.here.actor),
            may_be_elsewhere: hold.is_movable,
        }
    }

    /// A thread's name is known while it waits for something itself.
    fn holder(&self, hold: &Hold) -> LockUser {
        match user(&hold.here) {
            LockUser::Thread(None) => {
                let keys = self.by_actor.get(&hold.here.actor);
                let key = keys.and_then(|keys| keys.first());
                key.map_or(LockUser::Thread(None), |key| self.waits[*key].user())
            }
            user => user,
        }
    }
}

impl Queue {
    fn is_waited_for_by(&self, graph: &Graph, actor: Actor) -> bool {
        let mut waits = self.waits.iter().map(|key| &graph.waits[*key]);
        waits.any(|wait| wait.here.actor == actor)
    }

    pub(super) fn lock_released(
        &self,
        hold: &Hold,
        lasted: Duration,
        is_released: bool,
    ) -> LockReleased {
        LockReleased {
            lock: self.ledger.info.clone(),
            holder: user(&hold.here),
            at: hold.place,
            lasted,
            is_released,
        }
    }
}

impl Wait {
    pub(super) fn user(&self) -> LockUser {
        match user(&self.here) {
            LockUser::Thread(None) => {
                let name = self.thread.as_ref().and_then(|thread| thread.name());
                LockUser::Thread(name.map(Into::into))
            }
            user => user,
        }
    }
}

fn user(here: &Here) -> LockUser {
    match here.site {
        Some(at) if here.is_block_on => LockUser::BlockOn(at),
        Some(at) => match here.actor.task().and_then(Id::from_raw) {
            Some(id) => LockUser::Task(TaskInfo::new(id, at)),
            None => LockUser::Thread(None),
        },
        None if here.actor.is_foreign() => LockUser::Foreign,
        None => LockUser::Thread(None),
    }
}
