//! A thread leaves its seat so that another carries on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::here;
use super::shared::{Flavor, Shared};
use super::worker::worker_thread;
use crate::context::{self, Entered};
use crate::coop;

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
    spares: usize,
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

    /// Offers a seat. Says whether a thread must be started to take it.
    fn offer(&self, seat: u32) -> bool {
        let mut state = self.state.lock();
        state.seats.push_back(seat);
        self.changed.notify_one();
        state.spares < state.seats.len()
    }

    /// Leaves a seat to whoever gave it up.
    pub(super) fn put_back(&self, seat: u32) {
        self.state.lock().seats.push_back(seat);
    }

    /// Takes a seat back, if nobody has taken it yet.
    fn take_back(&self, seat: u32) -> bool {
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

/// Runs a call that may block, on this thread, while another thread takes
/// over this worker's tasks.
#[track_caller]
pub(crate) fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    let left = here::with_worker(|worker| {
        let worker = worker?;
        if context::entered() != Entered::Inside {
            // Already inside of a `block_in_place`, or on a blocking thread.
            return None;
        }
        assert!(
            worker.shared().flavor() == Flavor::MultiThread,
            "can call blocking only when running on the multi-threaded runtime"
        );
        let shared = Arc::clone(worker.shared());
        let seat = worker.leave_seat()?;
        if shared.vacant.offer(seat) && !start_substitute(&shared) && shared.vacant.take_back(seat)
        {
            tracing::warn!("no thread to stand in for a blocked worker: its tasks wait");
            worker.return_to_seat(seat);
            return None;
        }
        Some((shared, seat))
    });
    let _outside = context::set_entered(Entered::Outside);
    let Some((shared, seat)) = left else {
        return coop::with_unlimited(f);
    };
    let _back = Back { shared, seat };
    coop::with_unlimited(f)
}

/// Takes the seat back after the call, panicking or not.
struct Back {
    shared: Arc<Shared>,
    seat: u32,
}

impl Drop for Back {
    fn drop(&mut self) {
        if self.shared.vacant.take_back(self.seat) {
            // The ring is this thread's own still: this cannot fail.
            if let Err(error) = self.shared.seat(self.seat).occupy() {
                tracing::error!("a worker lost its driver: {error}");
            }
            here::with_worker(|worker| {
                if let Some(worker) = worker {
                    worker.return_to_seat(self.seat);
                }
            });
        }
    }
}

/// Starts a worker that takes the first vacant seat.
fn start_substitute(shared: &Arc<Shared>) -> bool {
    let Some(core) = shared.take_core() else {
        return false;
    };
    let substitute = Arc::clone(shared);
    let started =
        shared
            .pool
            .start_worker(move || match substitute.vacant.wait_for_seat(&substitute) {
                Some(seat) => worker_thread(substitute, core, seat),
                None => substitute.give_core_back(core),
            });
    started.is_ok()
}
