//! Who sleeps, who looks for work, and whom to wake.
//!
//! The rule: after adding work, look for a sleeper; after entering the list
//! of sleepers, look for work. With a sequentially consistent fence between
//! the two steps on both sides, one of them sees the other (Dekker), so work
//! is never left while everybody sleeps. While somebody searches, adders do
//! not wake another: a searcher leaves the count before it looks at the
//! queues for the last time, so the same argument covers it. `model` checks
//! both with loom.

use crate::sync_facade::{AtomicUsize, Mutex, Ordering, fence};

#[derive(Debug)]
pub(super) struct Idle {
    /// Workers that look for work to steal.
    searching: AtomicUsize,
    /// The length of `sleepers`, readable without the lock.
    sleeping: AtomicUsize,
    sleepers: Mutex<Vec<u32>>,
    /// How many may search at once: half of all, so that they do not spend
    /// their time on each other's queues.
    searchers_max: usize,
}

impl Idle {
    pub(super) fn new(seats: usize) -> Idle {
        Idle {
            searching: AtomicUsize::new(0),
            sleeping: AtomicUsize::new(0),
            sleepers: Mutex::new(Vec::with_capacity(seats)),
            searchers_max: seats.div_ceil(2),
        }
    }

    /// After work was added: the seat to unpark, if any. It counts as
    /// searching from now on.
    #[must_use]
    pub(super) fn seat_to_wake(&self) -> Option<u32> {
        // Pairs with the fence in `sleep` and in `stop_searching`.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) == 0 || self.searching.load(Ordering::Relaxed) > 0
        {
            return None;
        }
        let mut sleepers = self.sleepers.lock();
        let seat = sleepers.pop()?;
        self.sleeping.store(sleepers.len(), Ordering::Relaxed);
        // Relaxed: ordered by the fences around it.
        self.searching.fetch_add(1, Ordering::Relaxed);
        Some(seat)
    }

    /// Whether the caller may search; it then counts as searching.
    #[must_use]
    pub(super) fn start_searching(&self) -> bool {
        if self.searching.load(Ordering::Relaxed) >= self.searchers_max {
            return false;
        }
        self.searching.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The caller found work or gives up. Says whether it was the last
    /// searcher: then it must look whether work was added meanwhile, since
    /// adders relied on it.
    #[must_use]
    pub(super) fn stop_searching(&self) -> bool {
        let before = self.searching.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0);
        // Pairs with the fence in `seat_to_wake`.
        fence(Ordering::SeqCst);
        before == 1
    }

    /// Enters the list of sleepers. The caller looks for work once more
    /// before it sleeps.
    pub(super) fn sleep(&self, seat: u32) {
        let mut sleepers = self.sleepers.lock();
        sleepers.push(seat);
        self.sleeping.store(sleepers.len(), Ordering::Relaxed);
        drop(sleepers);
        // Pairs with the fence in `seat_to_wake`.
        fence(Ordering::SeqCst);
    }

    /// Leaves the list. Says whether somebody else took the caller off it,
    /// in which case it counts as searching.
    #[must_use]
    pub(super) fn wake(&self, seat: u32) -> bool {
        let mut sleepers = self.sleepers.lock();
        match sleepers.iter().position(|&sleeper| sleeper == seat) {
            Some(index) => {
                sleepers.remove(index);
                self.sleeping.store(sleepers.len(), Ordering::Relaxed);
                false
            }
            None => true,
        }
    }
}
