//! How a worker comes to a seat, and how it leaves: the life of its thread.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crossbeam_deque::Steal;
use tapio_driver::Inherited;

use super::here;
use super::shared::Shared;
use super::slot::Slot;
use super::spares::NoSubstitute;
use super::ticket::Ticket;
use super::vacant::Offer;
use super::worker::{Core, Worker};
use crate::context::{self, Entered};
use crate::threads;

/// So many tasks are taken over from a stuck worker before the next ones are
/// left: with them a new queue does not need to grow.
const ADOPTED_MAX: usize = 32;

/// Starts as many threads as there are seats.
pub(crate) fn start_workers(shared: &Arc<Shared>) -> io::Result<()> {
    let seats = shared.seats.len();
    // Whoever is ready first takes the first: nobody waits for a thread that is
    // long in its hook.
    for seat in 0..seats as u32 {
        shared.vacant.offer(Offer { seat, left: None });
    }
    for started in 0..seats {
        if let Err(why) = shared.start_worker() {
            shared.stopped.withdraw(seats - started);
            return match why {
                NoSubstitute::NoThread(error) => Err(error),
                NoSubstitute::Limit => unreachable!("there is a slot for every seat"),
            };
        }
    }
    Ok(())
}

/// The life of a worker's thread: as long as it finds a seat, it works.
pub(super) fn worker_thread(shared: Arc<Shared>, core: Core) {
    let worker = Rc::new(Worker::new(Arc::clone(&shared), core));
    let listed = shared.list_worker(&worker.core.slot);
    let entered = context::set_entered(Entered::Inside);
    let current = here::set_worker(Some(Rc::clone(&worker)));
    worker.warm_up();
    let mut is_new = true;
    while let Some(offer) = shared.vacant.wait_for_seat(&shared, is_new) {
        is_new = false;
        worker.sit_down(shared.seat(offer.seat).occupy());
        if let Some(left) = offer.left {
            worker.adopt(&left);
        }
        worker.run();
        match worker.stand_up() {
            Some(seat) if shared.is_stopping() => {
                worker.stop(seat);
                break;
            }
            // Relieved in the middle of a task, which has returned; or asked
            // to leave by somebody who sits down here now.
            _ => {
                if !shared.process.is_current() {
                    // In a child, after the poll of the task that forked.
                    Inherited("a worker cannot go on").abort();
                }
                worker.hand_over();
            }
        }
    }
    drop(current);
    drop(entered);
    drop(listed);
    if let Some(worker) = Rc::into_inner(worker) {
        shared.give_core_back(worker.core);
    }
}

impl Worker {
    /// Does once what must not be done for the first time at a stuck worker's
    /// seat: what is stuck may hold the allocator's or the loader's lock, which
    /// a thread's own variables take when they are made.
    fn warm_up(&self) {
        threads::warm_stack();
        if let Steal::Success(task) = self.core.slot.stealer.steal() {
            self.core.queue.push(task);
        }
    }

    /// Works with `ticket` from now on.
    ///
    /// The driver is looked at first, and what it brings goes before the inbox:
    /// if each turn at a seat began with a task from there, and each of those
    /// blocked, timers and sockets would never get theirs.
    pub(super) fn sit_down(&self, ticket: Ticket) {
        self.be_fair_first();
        self.core.slot.set_ticket(ticket);
        if let Some(seat) = ticket.seat() {
            self.shared.seat(seat).set_sitting(&self.core.slot);
        }
    }

    /// Has the driver be looked at next, and what it brings go before the inbox.
    pub(super) fn be_fair_first(&self) {
        self.until_fair.set(0);
        self.until_inbox.set(self.shared.config.inbox_interval);
    }

    /// Takes over what a stuck worker had queued, as far as there is room for
    /// it: the guard's starter gives the rest to all.
    fn adopt(&self, left: &Slot) {
        if let Some(task) = left.take_lifo() {
            self.core.queue.push(task);
        }
        while self.core.queue.len() < ADOPTED_MAX {
            match left.stealer.steal_batch(&self.core.queue) {
                Steal::Success(()) | Steal::Retry => {}
                Steal::Empty => break,
            }
        }
    }

    /// Sits down at `seat`, whoever is there: it is relieved.
    #[track_caller]
    pub(super) fn take_seat(&self, seat: u32) {
        let shared = &self.shared;
        shared.process.require("cannot go on in `block_on`");
        if !shared.vacant.take_back(seat) {
            shared.seat(seat).ask_to_leave();
        }
        self.sit_down(shared.seat(seat).occupy());
    }

    /// Gives the seat up, if it was not taken.
    pub(super) fn stand_up(&self) -> Option<u32> {
        let ticket = self.core.slot.ticket();
        self.core.slot.set_ticket(Ticket::NONE);
        let seat = ticket.seat()?;
        self.shared.seat(seat).vacate(ticket).then_some(seat)
    }

    /// Gives everything that is queued here to the others.
    pub(super) fn hand_over(&self) {
        self.stop_searching();
        while let Some(task) = self.core.slot.take_lifo().or_else(|| self.core.queue.pop()) {
            self.shared.push_remote(task);
        }
    }
}
