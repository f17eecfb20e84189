//! Seats that nobody occupies, and the workers that wait for one.
//!
//! The guard offers a stuck worker's seat here, and asks whether somebody
//! stands by: its lock is the standard library's, and nobody allocates, frees
//! or starts a thread while holding it (`guard::engine` says why).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::slot::Slot;
use crate::guard::Relief;

/// How long a worker beyond those that always stand by waits for a seat before
/// its thread ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A limit that was not hit for so long is news again.
const EPISODE: Duration = Duration::from_secs(10);
/// After a thread could not be started, the next is tried so much later.
const PAUSE: Duration = Duration::from_millis(100);
/// A thread that has not come for so long is in its hook, if there is one.
const ON_ITS_WAY: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(super) struct Vacant {
    state: Mutex<State>,
    changed: Condvar,
    /// How many always stand by.
    standing: usize,
}

#[derive(Debug)]
struct State {
    /// Has room for every seat from the start.
    seats: VecDeque<Offer>,
    /// Threads that wait for a seat.
    spares: usize,
    /// Threads that were started to and have not come to it yet: the user's
    /// hook is called before.
    starting: usize,
    /// When the last of them was started.
    started_at: Option<Instant>,
    /// Somebody found no spare since the last time that more were started.
    is_wanting: bool,
    trouble: Option<Trouble>,
    /// When a thread may be tried again.
    pause_until: Option<Instant>,
    /// When each kind of trouble was last met.
    limit_at: Option<Instant>,
    no_thread_at: Option<Instant>,
}

/// Why there are no more spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// As many threads stand in as may.
    Limit,
    /// The system gives none (`errno`).
    NoThread(i32),
}

/// A seat to be taken.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) seat: u32,
    /// What the worker that was relieved there has queued.
    pub(super) left: Option<Arc<Slot>>,
}

impl Vacant {
    /// For so many seats, with so many workers that always stand by.
    pub(super) fn new(seats: usize, standing: usize) -> Vacant {
        Vacant {
            state: Mutex::new(State {
                seats: VecDeque::with_capacity(seats),
                spares: 0,
                starting: 0,
                started_at: None,
                is_wanting: false,
                trouble: None,
                pause_until: None,
                limit_at: None,
                no_thread_at: None,
            }),
            changed: Condvar::new(),
            standing,
        }
    }

    /// Nobody panics with it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a seat; `None` when none came free in time, or the runtime
    /// has stopped. `is_new` when the thread was [`start`](Vacant::start)ed for this.
    pub(super) fn wait_for_seat(&self, shared: &Shared, is_new: bool) -> Option<Offer> {
        let limit = Instant::now() + KEEP_ALIVE;
        let mut state = self.lock();
        state.starting -= usize::from(is_new);
        state.spares += 1;
        state.trouble = None;
        let offer = loop {
            // Seats are taken even while stopping: each must be closed by
            // somebody.
            if let Some(offer) = state.seats.pop_front() {
                break Some(offer);
            }
            if shared.is_past_rescue() {
                break None;
            }
            if state.spares <= self.standing {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break None;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        state.spares -= 1;
        offer
    }

    pub(super) fn wake_all(&self) {
        let _state = self.lock();
        self.changed.notify_all();
    }

    /// Whether another seat would find somebody who stands by for one. One who
    /// is on the way does not count.
    pub(super) fn has_spare(&self) -> bool {
        let state = self.lock();
        state.spares > state.seats.len()
    }

    /// Why another seat would find nobody at this moment. `max` and `has_hook`
    /// are what the runtime was built with.
    pub(super) fn why_no_spare(&self, max: usize, has_hook: bool) -> Relief {
        let mut state = self.lock();
        state.is_wanting = true;
        match state.trouble {
            Some(Trouble::Limit) => Relief::Limit {
                max,
                is_news: is_news(&mut state.limit_at),
            },
            Some(Trouble::NoThread(errno)) => Relief::NoThread(errno),
            None => {
                let since = state.started_at.filter(|_| state.starting > 0);
                match since {
                    Some(at) if has_hook && at.elapsed() >= ON_ITS_WAY => Relief::InHook,
                    _ => Relief::Starting,
                }
            }
        }
    }

    /// Offers a seat. Says whether a thread must be started to take it.
    pub(super) fn offer(&self, offer: Offer) -> bool {
        let mut state = self.lock();
        state.seats.push_back(offer);
        self.changed.notify_one();
        state.spares + state.starting < state.seats.len()
    }

    /// Takes a seat back, if nobody has taken it yet.
    pub(super) fn take_back(&self, seat: u32) -> bool {
        let mut state = self.lock();
        let index = state.seats.iter().position(|offer| offer.seat == seat);
        let offer = index.and_then(|index| state.seats.remove(index));
        drop(state);
        offer.is_some()
    }

    /// How many threads to start now: for seats that nobody takes, and to stand
    /// by.
    pub(super) fn missing(&self) -> usize {
        let mut state = self.lock();
        if state
            .pause_until
            .is_some_and(|until| Instant::now() < until)
        {
            return 0;
        }
        let is_wanting = std::mem::take(&mut state.is_wanting);
        let wanted = state.seats.len() + self.standing.max(usize::from(is_wanting));
        wanted.saturating_sub(state.spares + state.starting)
    }

    /// A thread is being started that will come here.
    pub(super) fn start(&self) {
        let mut state = self.lock();
        state.starting += 1;
        state.started_at = Some(Instant::now());
    }

    /// It will not come.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        state.starting -= 1;
        // Were it the user's hook that panics, the next would fare no better.
        state.pause_until = Some(Instant::now() + PAUSE);
    }

    /// No more threads are to be had. Says whether that is news.
    pub(super) fn meet(&self, trouble: Trouble) -> bool {
        let mut state = self.lock();
        state.trouble = Some(trouble);
        match trouble {
            Trouble::Limit => is_news(&mut state.limit_at),
            Trouble::NoThread(_) => is_news(&mut state.no_thread_at),
        }
    }

    /// As [`Vacant::meet`] for the limit, before anybody suffers from it.
    pub(super) fn foresee_limit(&self) {
        self.lock().trouble = Some(Trouble::Limit);
    }
}

/// Notes that something was met now; whether it was not for long before.
fn is_news(last: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let before = last.replace(now);
    before.is_none_or(|before| now - before >= EPISODE)
}
