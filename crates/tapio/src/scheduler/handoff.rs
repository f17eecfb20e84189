//! A thread leaves its seat so that another carries on.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::here;
use super::shared::{Flavor, Shared};
use super::worker::worker_thread;
use crate::context::{self, Entered};
use crate::coop;
use crate::post::Running;
use crate::report::{LimitHit, Report};

/// How long a worker without a seat waits for one before its thread ends.
const SPARE_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Seats that nobody occupies, and the spare workers that wait for one.
#[derive(Debug, Default)]
pub(super) struct Vacant {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    seats: VecDeque<u32>,
    /// Threads that wait for a seat.
    spares: usize,
    /// Threads that were started to and have not come to it yet.
    starting: usize,
}

impl Vacant {
    /// Waits for a seat; `None` when none came free in time, or the runtime
    /// stops.
    pub(super) fn wait_for_seat(&self, shared: &Shared) -> Option<u32> {
        let limit = Instant::now() + SPARE_KEEP_ALIVE;
        let mut state = self.state.lock();
        state.spares += 1;
        let mut timed_out = false;
        let seat = loop {
            // Seats are taken even while stopping: each must be closed by
            // somebody.
            if let Some(seat) = state.seats.pop_front() {
                break Some(seat);
            }
            if timed_out || shared.is_stopping() {
                break None;
            }
            timed_out = self.changed.wait_until(&mut state, limit).timed_out();
        };
        state.spares -= 1;
        seat
    }

    pub(super) fn wake_all(&self) {
        let _state = self.state.lock();
        self.changed.notify_all();
    }

    /// Whether another seat would find somebody who waits for one.
    pub(super) fn has_spare(&self) -> bool {
        let state = self.state.lock();
        state.spares + state.starting > state.seats.len()
    }

    /// Whether a seat finds nobody.
    pub(super) fn has_seat(&self) -> bool {
        let state = self.state.lock();
        state.seats.len() > state.spares + state.starting
    }

    /// Offers a seat. Says whether a thread must be started to take it.
    pub(super) fn offer(&self, seat: u32) -> bool {
        let mut state = self.state.lock();
        state.seats.push_back(seat);
        self.changed.notify_one();
        state.spares + state.starting < state.seats.len()
    }

    /// Takes a seat back, if nobody has taken it yet.
    pub(super) fn take_back(&self, seat: u32) -> bool {
        let mut state = self.state.lock();
        match state.seats.iter().position(|&offered| offered == seat) {
            Some(index) => {
                state.seats.remove(index);
                true
            }
            None => false,
        }
    }
}

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
        if shared.vacant.offer(seat)
            && let Err(why) = start_substitute(&shared)
            && shared.vacant.take_back(seat)
        {
            why.report();
            Back { shared, seat }.sit_down();
            return Left::Stays;
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

/// Why nobody stands in for a thread that blocks.
#[derive(Debug)]
pub(super) enum NoSubstitute {
    /// As many threads stand in as may.
    Limit(usize),
    NoThread(io::Error),
}

impl NoSubstitute {
    pub(super) fn report(&self) {
        match self {
            NoSubstitute::Limit(max) => {
                let consequence = "the tasks of a blocked worker wait until it returns";
                Report::Limit(LimitHit::new("max_substitutes", *max, consequence)).deliver();
            }
            NoSubstitute::NoThread(error) => {
                tracing::warn!("no thread to stand in for a blocked worker: {error}");
            }
        }
    }
}

/// Starts a worker that takes the first vacant seat.
pub(super) fn start_substitute(shared: &Arc<Shared>) -> Result<(), NoSubstitute> {
    let Some(core) = shared.take_core() else {
        return Err(NoSubstitute::Limit(shared.config.substitutes_max));
    };
    let starting = Starting::new(shared);
    let started = shared.pool.start_worker(move || {
        let shared = starting.arrive();
        match shared.vacant.wait_for_seat(&shared) {
            Some(seat) => worker_thread(shared, core, seat),
            None => shared.give_core_back(core),
        }
    });
    started.map_err(NoSubstitute::NoThread)
}

/// A thread that was started and has not come to the seats yet, or never
/// will.
struct Starting(Arc<Shared>);

impl Starting {
    fn new(shared: &Arc<Shared>) -> Starting {
        shared.vacant.state.lock().starting += 1;
        Starting(Arc::clone(shared))
    }

    fn arrive(self) -> Arc<Shared> {
        Arc::clone(&self.0)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.vacant.state.lock().starting -= 1;
    }
}
