//! Tasks that arrive at a seat from elsewhere.
//!
//! Those that have run before go first. A task that is new may be one of
//! thousands that each block their worker, and another thread then takes the
//! seat for each of them: were there one line for all, whoever was woken in
//! the meantime would wait behind every one of them. New tasks get their turn
//! as well, once for every [`RETURNING_STREAK_MAX`] of the others.

use std::cell::Cell;

use crossbeam_queue::SegQueue;

use crate::cell::Notified;

/// Tasks taken in a row that have run before, while new ones wait.
const RETURNING_STREAK_MAX: u32 = 32;

/// Anybody may put in and take out.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Woken by other threads, or left behind by a worker that lost its seat.
    returning: SegQueue<Notified>,
    /// Spawned by other threads.
    new: SegQueue<Notified>,
}

impl Inbox {
    pub(super) fn push_returning(&self, task: Notified) {
        self.returning.push(task);
    }

    pub(super) fn push_new(&self, task: Notified) {
        self.new.push(task);
    }

    /// Takes the next task; `streak` is how many the caller has taken since it
    /// last took a new one.
    pub(super) fn pop(&self, streak: &Cell<u32>) -> Option<Notified> {
        if streak.get() >= RETURNING_STREAK_MAX {
            streak.set(0);
            return self.new.pop().or_else(|| self.returning.pop());
        }
        let returning = self.returning.pop();
        streak.set(returning.as_ref().map_or(0, |_| streak.get() + 1));
        returning.or_else(|| self.new.pop())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.returning.is_empty() && self.new.is_empty()
    }
}
