//! Taking a stuck worker's place.
//!
//! All that it takes can be reached without the stuck thread: its seat is
//! vacated under the driver's lock, which no thread holds while it runs
//! foreign code; a thread that stood by (`spares`) takes it, and with it what
//! the stuck one had queued. What that one queues in the moment of the relief,
//! not knowing of it yet, is swept up by the guard's starter until it comes
//! back. When it does, at the end of its poll, it finds its ticket worth nothing
//! and joins the spares (`worker_thread`).

use std::sync::Arc;

use super::shared::Shared;
use super::slot::Slot;
use super::vacant::Offer;
use crate::guard::{self, Counters, Host, Relief, Watching};
use crate::post::{Hook, Running};
use crate::report::LimitHit;
use crate::{context, rounds};

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

/// A thread in a hook of the user's, before or after its work, to the guard.
struct WatchedHook {
    shared: Arc<Shared>,
    role: &'static str,
}

impl Shared {
    /// Calls the hook of this thread's start under the guard's eyes.
    pub(crate) fn call_start_hook(self: &Arc<Self>, hook: &dyn Fn()) {
        self.call_hook(Hook::Start, "a thread that begins", hook);
    }

    /// Calls the hook of this thread's end under the guard's eyes.
    pub(crate) fn call_stop_hook(self: &Arc<Self>, hook: &dyn Fn()) {
        self.call_hook(Hook::Stop, "a thread that ends", hook);
    }

    fn call_hook(self: &Arc<Self>, which: Hook, role: &'static str, hook: &dyn Fn()) {
        let host = WatchedHook {
            shared: Arc::clone(self),
            role,
        };
        let settings = self.config.guard;
        let _watching = settings.map(|settings| guard::watch_thread(settings, Box::new(host)));
        let _running = context::enter_code(Running::hook(which));
        rounds::call();
        hook();
    }
}

impl Host for WatchedHook {
    fn role(&self) -> String {
        self.role.into()
    }

    fn runtime_name(&self) -> Option<Arc<str>> {
        self.shared.name().map(Into::into)
    }

    fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}

impl Host for WatchedWorker {
    fn relieve(&self) -> Relief {
        let shared = &self.shared;
        let config = &shared.config;
        let ticket = self.slot.ticket();
        let Some(seat) = ticket.seat() else {
            return Relief::Nothing;
        };
        if !config.is_rescue_enabled {
            self.slot.set_overdue();
            return Relief::Off;
        }
        // A thread first: a seat that nobody takes would be worse.
        if !shared.vacant.has_spare() {
            self.slot.set_overdue();
            let vacant = &shared.vacant;
            return vacant.why_no_spare(config.substitutes_max, config.has_start_hook);
        }
        if !shared.seat(seat).vacate(ticket) {
            return Relief::Moved;
        }
        self.slot.relieve_of(ticket);
        let left = Some(Arc::clone(&self.slot));
        shared.vacant.offer(Offer { seat, left });
        Relief::Done
    }

    fn has_leftovers(&self) -> bool {
        self.slot.ticket().seat().is_none() && self.slot.has_any()
    }

    fn sweep(&self) {
        while self.has_leftovers()
            && let Some(task) = self.slot.take_any()
        {
            self.shared.push_remote(task);
        }
    }

    fn replenish(&self) -> Option<LimitHit> {
        self.shared.replenish()
    }

    fn limit_hit(&self) -> Option<LimitHit> {
        Some(self.shared.substitutes_hit())
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
