//! Taking a stuck worker's place.
//!
//! All that it takes can be reached without the stuck thread: its seat is
//! vacated under the driver's lock, which no thread holds while it runs
//! foreign code; its queue is stolen from, its LIFO slot swapped out. What it
//! queues in the moment of the relief, not knowing of it yet, is swept up
//! again and again until it comes back. When it does, at the end of its poll,
//! it finds its ticket worth nothing and joins the spares (`worker_thread`).

use std::sync::Arc;

use super::handoff::{NoSubstitute, start_substitute};
use super::shared::Shared;
use super::slot::Slot;
use crate::guard::{self, Counters, Host, Relief, Watching};

/// A worker, to the guard.
struct WatchedWorker {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
}

impl Shared {
    /// Has the guard watch this thread, a worker.
    pub(super) fn watch_worker(self: &Arc<Self>, slot: &Arc<Slot>) -> Option<Watching> {
        let settings = self.config.guard?;
        let worker = WatchedWorker {
            shared: Arc::clone(self),
            slot: Arc::clone(slot),
        };
        Some(guard::watch_thread(settings, Box::new(worker)))
    }
}

/// A thread in the `block_on` of a runtime whose workers are other threads,
/// to the guard.
struct WatchedBlocked(Arc<Shared>);

impl Shared {
    /// Has the guard watch this thread, which polls a future and nothing else.
    pub(crate) fn watch_blocked(self: &Arc<Self>) -> Option<Watching> {
        let settings = self.config.guard?;
        let blocked = WatchedBlocked(Arc::clone(self));
        Some(guard::watch_thread(settings, Box::new(blocked)))
    }
}

impl Host for WatchedBlocked {
    fn relieve(&self) -> Relief {
        Relief::Nothing
    }

    fn sweep(&self) {}

    fn has_seat(&self) -> bool {
        false
    }

    fn role(&self) -> String {
        "a thread in block_on".into()
    }

    fn runtime_name(&self) -> Option<Arc<str>> {
        self.0.name().map(Into::into)
    }

    fn counters(&self) -> &Counters {
        &self.0.counters
    }
}

impl Host for WatchedWorker {
    fn relieve(&self) -> Relief {
        let shared = &self.shared;
        let ticket = self.slot.ticket();
        let Some(seat) = ticket.seat() else {
            return Relief::Nothing;
        };
        if !shared.config.is_rescue_enabled {
            return Relief::Off;
        }
        // A thread first: a seat that nobody takes would be worse.
        if !shared.vacant.has_spare()
            && let Err(why) = start_substitute(shared)
        {
            return match why {
                NoSubstitute::Limit(max) => Relief::Limit(max),
                NoSubstitute::NoThread(error) => Relief::NoThread(error),
            };
        }
        if !shared.seat(seat).vacate(ticket) {
            return Relief::Moved;
        }
        self.slot.relieve_of(ticket);
        let _ = shared.vacant.offer(seat);
        self.sweep();
        Relief::Done
    }

    fn sweep(&self) {
        while let Some(task) = self.slot.take_any() {
            self.shared.push_remote(task);
        }
        // The spare may have gone elsewhere.
        if self.shared.vacant.has_seat() {
            let _ = start_substitute(&self.shared);
        }
    }

    fn has_seat(&self) -> bool {
        self.slot.ticket().seat().is_some()
    }

    fn role(&self) -> String {
        match self.slot.ticket().seat() {
            Some(seat) => format!("worker {seat}"),
            None => "a worker".into(),
        }
    }

    fn runtime_name(&self) -> Option<Arc<str>> {
        self.shared.name().map(Into::into)
    }

    fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}
