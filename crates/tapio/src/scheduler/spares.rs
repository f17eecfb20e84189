//! Threads that stand by to take a worker's place.
//!
//! Each is a whole worker, with its queue, its memory and the user's start
//! hook behind it, and waits for a seat: to take one it needs nothing that a
//! stuck task might keep from it.
//!
//! How many: one for each seat, since a lock that is stuck sticks all who want
//! it at the same moment; but four at the most. More that are needed at once
//! are started by the guard's starter, as those that were taken are replaced,
//! and threads that come back from a long poll stand by for a while.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::{Config, Flavor, Shared};
use super::sitting::worker_thread;
use super::vacant::Trouble;
use super::worker::Core;
use crate::report::{LimitHit, by_site};

/// At the most.
const STANDING_MAX: usize = 4;

const LIMIT_HELP: &str = "call what blocks with tapio::task::spawn_blocking and compute with \
                          tapio::cpu::spawn; Builder::max_substitutes allows more threads";
const NO_THREAD_HELP: &str = "raise the limit on threads (ulimit -u, pids.max of the control \
                              group) or on memory, or start fewer";

/// How many workers always stand by.
pub(super) fn standing(config: &Config) -> usize {
    if config.guard.is_some() && config.is_rescue_enabled {
        config.seats.min(STANDING_MAX).min(config.substitutes_max)
    } else {
        0
    }
}

impl Shared {
    /// Starts a worker that takes the first vacant seat.
    pub(super) fn start_worker(self: &Arc<Self>) -> Result<(), NoSubstitute> {
        let Some(core) = self.take_core() else {
            return Err(NoSubstitute::Limit);
        };
        self.vacant.start();
        let starting = Starting {
            shared: Arc::clone(self),
            core: Some(core),
        };
        let started = self.pool.start_worker(move || {
            let (shared, core) = starting.arrive();
            worker_thread(shared, core);
        });
        started.map_err(NoSubstitute::NoThread)
    }

    /// Has as many workers stand by as should. What it says is news.
    pub(crate) fn replenish(self: &Arc<Self>) -> Option<LimitHit> {
        for _ in 0..self.vacant.missing() {
            if self.is_past_rescue() {
                return None;
            }
            match self.start_worker() {
                Ok(()) => {}
                Err(NoSubstitute::Limit) => {
                    self.vacant.foresee_limit();
                    return None;
                }
                Err(why @ NoSubstitute::NoThread(_)) => return self.note(&why),
            }
        }
        None
    }

    /// Whether nobody needs to stand by any more. While a runtime stops they do:
    /// each seat is ended by a worker, and the one there may be stuck.
    pub(super) fn is_past_rescue(&self) -> bool {
        let is_ended_elsewhere = self.flavor() == Flavor::CurrentThread;
        self.is_stopping() && (is_ended_elsewhere || self.stopped.has_opened())
    }

    /// Notes why nobody stands by; what is to be said of it, if that is news.
    pub(super) fn note(&self, why: &NoSubstitute) -> Option<LimitHit> {
        match why {
            NoSubstitute::Limit => {
                let is_news = self.vacant.meet(Trouble::Limit);
                is_news.then(|| self.substitutes_hit())
            }
            NoSubstitute::NoThread(error) => {
                let errno = error.raw_os_error().unwrap_or_default();
                let is_news = self.vacant.meet(Trouble::NoThread(errno));
                let consequence = format!(
                    "the system gives no more ({error}); what waits behind a stuck worker waits \
                     until it returns"
                );
                let hit = LimitHit::new("threads", self.pool.alive(), consequence);
                is_news.then(|| hit.with_help(NO_THREAD_HELP))
            }
        }
    }

    /// What to say of the limit on substitutes, now that it is reached.
    pub(super) fn substitutes_hit(&self) -> LimitHit {
        // Relaxed: a figure, which orders nothing.
        let hits = self.counters.substitute_limit_hits.load(Ordering::Relaxed);
        let consequence = format!(
            "as many threads stand in for stuck ones, and what waits behind one more waits until \
             it returns; said once, counted in RuntimeMetrics::num_substitute_limit_hits ({hits} \
             so far)"
        );
        LimitHit::new("max_substitutes", self.config.substitutes_max, consequence)
            .held_by(by_site(self.what_runs().tasks))
            .with_help(LIMIT_HELP)
    }
}

/// Why nobody stands in for a thread that blocks.
#[derive(Debug)]
pub(super) enum NoSubstitute {
    /// As many threads stand in as may.
    Limit,
    NoThread(std::io::Error),
}

/// A thread that was started and has not come to the seats yet, or never
/// will.
struct Starting {
    shared: Arc<Shared>,
    /// `None` once it has come.
    core: Option<Core>,
}

impl Starting {
    fn arrive(mut self) -> (Arc<Shared>, Core) {
        let core = self.core.take().expect("it comes once");
        (Arc::clone(&self.shared), core)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(core) = self.core.take() {
            self.shared.give_core_back(core);
            self.shared.vacant.give_up();
        }
    }
}
