//! The list of a runtime's tasks, so that a shutdown reaches every one.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::Location;

use slab::Slab;
use tapio_driver::lock::Mutex;

use super::raw::TaskRef;
use crate::task_id::Id;

/// Every task that was spawned and has not ended, in shards to spread the
/// locks: a worker enters tasks into its own.
#[derive(Debug)]
pub(crate) struct OwnedTasks {
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Debug, Default)]
struct Shard {
    tasks: Slab<TaskRef>,
    is_closed: bool,
}

impl OwnedTasks {
    pub(crate) fn new(shards: usize) -> OwnedTasks {
        OwnedTasks {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
        }
    }

    /// Enters a task. A list that was closed gives it back: it must be shut
    /// down, which may run user code.
    pub(crate) fn enter(&self, shard: usize, task: TaskRef) -> Result<(), TaskRef> {
        let index = shard % self.shards.len();
        let mut shard = self.shards[index].lock();
        if shard.is_closed {
            return Err(task);
        }
        let entry = shard.tasks.vacant_entry();
        task.header().set_owner(index as u32, entry.key() as u32);
        entry.insert(task);
        Ok(())
    }

    /// Takes a task off the list and gives back the list's reference, unless
    /// a shutdown has taken it.
    pub(crate) fn remove(&self, task: &TaskRef) -> Option<TaskRef> {
        let (shard, key) = task.header().owner();
        let mut shard = self.shards[shard as usize].lock();
        // A task that was refused by `enter` has no key.
        shard.tasks.try_remove(key as usize)
    }

    /// Ends every task of one shard and refuses new ones.
    pub(crate) fn close(&self, shard: usize) {
        let mut shard = self.shards[shard].lock();
        shard.is_closed = true;
        let tasks = std::mem::take(&mut shard.tasks);
        drop(shard);
        for (_, task) in tasks {
            task.shut_down();
        }
    }

    /// Where the tasks of which `counts` holds were spawned, and how many from
    /// there, most first.
    pub(crate) fn sites(
        &self,
        counts: impl Fn(Id) -> bool,
    ) -> Vec<(&'static Location<'static>, usize)> {
        let mut sites = BTreeMap::<_, usize>::new();
        for shard in &self.shards {
            for (_, task) in &shard.lock().tasks {
                if counts(task.id()) {
                    *sites.entry(task.spawned_at()).or_default() += 1;
                }
            }
        }
        let mut sites = Vec::from_iter(sites);
        sites.sort_by_key(|(_, count)| Reverse(*count));
        sites
    }

    /// How many tasks are alive.
    pub(crate) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().tasks.len())
            .sum()
    }
}
