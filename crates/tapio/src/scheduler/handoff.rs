//! A thread leaves its seat so that another carries on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::here;
use super::shared::{Flavor, Shared};
use super::spares::NoSubstitute;
use super::vacant::Offer;
use crate::context::{self, Entered};
use crate::post::Running;
use crate::report::Report;
use crate::{coop, guard};

/// What a thread that is about to block leaves to others.
enum Left {
    /// Its seat, which somebody takes.
    Seat(Arc<Shared>, u32),
    /// Nothing: it has no seat, and keeps nobody waiting but itself.
    Nothing,
    /// Its seat, which nobody can take; or what cannot leave it.
    Stays,
}

/// Runs a call that may block, on this thread, while another thread takes
/// over this worker's tasks.
#[track_caller]
pub(crate) fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    let left = here::with_worker(|worker| {
        if context::entered() != Entered::Inside {
            // Already inside of a `block_in_place`, or on a blocking thread.
            return Left::Stays;
        }
        let Some(worker) = worker else {
            return Left::Nothing;
        };
        assert!(
            worker.shared().flavor() == Flavor::MultiThread,
            "can call blocking only when running on the multi-threaded runtime"
        );
        let shared = Arc::clone(worker.shared());
        let Some(seat) = worker.stand_up() else {
            return Left::Nothing;
        };
        worker.hand_over();
        if shared.vacant.offer(Offer { seat, left: None })
            && let Err(why) = shared.start_worker()
            && shared.vacant.take_back(seat)
        {
            if let NoSubstitute::Limit = why {
                let hits = &shared.counters.substitute_limit_hits;
                // Relaxed: a figure, which orders nothing.
                hits.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(limit) = shared.note(&why) {
                Report::Limit(limit).deliver();
            }
            Back { shared, seat }.sit_down();
            return Left::Stays;
        }
        if shared.config.guard.is_some() && !shared.vacant.has_spare() {
            // Whoever takes the seat stood by for a stall.
            guard::call_starter();
        }
        Left::Seat(shared, seat)
    });
    let _outside = context::set_entered(Entered::Outside);
    if let Left::Stays = left {
        return coop::with_unlimited(f);
    }
    // What blocks here blocks nobody, and is no stall.
    let _unwatched = context::enter_code(Running::NOTHING);
    let _back = match left {
        Left::Seat(shared, seat) => Some(Back { shared, seat }),
        Left::Nothing | Left::Stays => None,
    };
    coop::with_unlimited(f)
}

/// Takes the seat back after the call, panicking or not.
struct Back {
    shared: Arc<Shared>,
    seat: u32,
}

impl Back {
    /// The seat is this thread's again.
    fn sit_down(&self) {
        let ticket = self.shared.seat(self.seat).occupy();
        here::with_worker(|worker| {
            let worker = worker.expect("the thread is a worker for as long as it lives");
            worker.sit_down(ticket);
        });
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        if self.shared.vacant.take_back(self.seat) {
            self.sit_down();
        }
    }
}
