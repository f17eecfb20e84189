//! A worker: the loop, and what a task's wake does on a worker's thread.

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crossbeam_deque::{Steal, Worker as Queue};
use tapio_driver::{Limit, Wakes};

use super::here;
use super::shared::Shared;
use super::slot::Slot;
use super::spares::NoSubstitute;
use super::ticket::Ticket;
use super::vacant::Offer;
use crate::cell::{Notified, is_task_waker};
use crate::context::{self, Entered};
use crate::coop;
use crate::post::{Hook, Running};
use crate::{rounds, threads};

/// Tasks run in a row from the LIFO slot before the queue gets its turn, so
/// that two tasks which wake each other do not starve the rest.
const LIFO_STREAK_MAX: u32 = 3;

/// So many tasks are taken over from a stuck worker before the next ones are
/// left: with them a new queue does not need to grow.
const ADOPTED_MAX: usize = 32;

/// Room for so many wakers from the start: a worker that takes a stuck one's
/// seat may have to do without the allocator.
const WAKES_ROOM: usize = 256;

/// A queue and the slot through which others take from it.
pub(super) struct Core {
    /// Which of the runtime's slots it has.
    pub(super) place: usize,
    pub(super) slot: Arc<Slot>,
    queue: Queue<Notified>,
}

/// A thread that runs tasks.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    core: Core,
    /// Tasks to run until the next look at the driver, and at the inbox.
    until_fair: Cell<u32>,
    until_inbox: Cell<u32>,
    /// Tasks taken from inboxes since the last that was new.
    inbox_streak: Cell<u32>,
    is_searching: Cell<bool>,
    /// Wakes come from the driver, in a batch: they keep their order.
    is_dispatching: Cell<bool>,
    random: Cell<u32>,
    wakes: RefCell<Wakes>,
}

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
            _ => worker.hand_over(),
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
    pub(super) fn new(shared: Arc<Shared>, core: Core) -> Worker {
        let seed = context::thread_number() as u32;
        Worker {
            shared,
            core,
            until_fair: Cell::new(0),
            until_inbox: Cell::new(0),
            inbox_streak: Cell::new(0),
            is_searching: Cell::new(false),
            is_dispatching: Cell::new(false),
            random: Cell::new(seed.wrapping_mul(0x9e37_79b9) | 1),
            wakes: RefCell::new(Wakes::with_capacity(WAKES_ROOM)),
        }
    }

    /// Does once what must not be done for the first time at a stuck worker's
    /// seat: what is stuck may hold the allocator's or the loader's lock, which
    /// a thread's own variables take when they are made.
    fn warm_up(&self) {
        threads::warm_stack();
        if let Steal::Success(task) = self.core.slot.stealer.steal() {
            self.core.queue.push(task);
        }
    }

    // ---- the loop, one named phase after the other -----------------------

    /// Works at the seat until the runtime stops or the worker is relieved.
    fn run(&self) {
        while let Some(seat) = self.seat()
            && !self.shared.is_stopping()
        {
            self.keep_fair(seat);
            if let Some(task) = self.next_task(seat) {
                self.run_task(task);
            } else if let Some(task) = self.search(seat) {
                self.run_task(task);
            } else {
                self.park(seat);
            }
        }
    }

    /// Now and then, however much work there is: looks at the driver and the
    /// timers.
    pub(super) fn keep_fair(&self, seat: u32) {
        if is_due(&self.until_fair, self.shared.config.event_interval) {
            self.look_at_driver(seat);
        }
    }

    pub(super) fn look_at_driver(&self, seat: u32) {
        let mut wakes = self.wakes.take();
        self.collect(seat, Limit::NoWait, &mut wakes);
        self.dispatch(seat, wakes);
    }

    /// The next task that is this worker's own.
    pub(super) fn next_task(&self, seat: u32) -> Option<Notified> {
        let inbox = &self.shared.seat(seat).inbox;
        if is_due(&self.until_inbox, self.shared.config.inbox_interval)
            && let Some(task) = inbox.pop(&self.inbox_streak)
        {
            return Some(task);
        }
        self.core
            .slot
            .take_lifo()
            .or_else(|| self.core.queue.pop())
            .or_else(|| inbox.pop(&self.inbox_streak))
    }

    /// Runs one task, and those that it and its successors put into the LIFO
    /// slot, within one budget.
    pub(super) fn run_task(&self, task: Notified) {
        self.stop_searching();
        let mut next = task;
        let mut streak = 0;
        coop::with_full(|| {
            loop {
                self.poll_once(next);
                if self.seat().is_none() || !coop::has_budget() {
                    return;
                }
                let Some(task) = self.core.slot.take_lifo() else {
                    return;
                };
                if streak == LIFO_STREAK_MAX {
                    // Behind the others this time.
                    return self.push_back(task);
                }
                streak += 1;
                next = task;
            }
        });
    }

    /// Looks for work at the others'.
    fn search(&self, _seat: u32) -> Option<Notified> {
        let shared = &self.shared;
        if shared.seats.len() == 1 && shared.slots().len() == 1 {
            return None;
        }
        if !self.is_searching.get() {
            if !shared.idle.start_searching() {
                return None;
            }
            self.is_searching.set(true);
        }
        self.steal()
    }

    /// Sleeps until there is something to do, and takes it in.
    pub(super) fn park(&self, seat: u32) {
        let shared = &self.shared;
        let hooks = &shared.config.hooks;
        self.stop_searching();
        // Before the last look for work: the hook may make some.
        if let Some(hook) = &hooks.before_park {
            let _running = context::enter_code(Running::hook(Hook::Park));
            hook();
        }
        shared.idle.sleep(seat);
        let place = shared.seat(seat);
        let has_work = self.core.slot.has_lifo() || shared.has_work();
        let limit = if has_work || shared.is_stopping() {
            Limit::NoWait
        } else {
            place.limit()
        };
        let mut wakes = self.wakes.take();
        self.collect(seat, limit, &mut wakes);
        if shared.idle.wake(seat) {
            self.is_searching.set(true);
        }
        if limit != Limit::NoWait {
            // There may be something to watch again.
            rounds::call();
        }
        // What was collected is queued first, where others can take it.
        self.dispatch(seat, wakes);
        if let Some(hook) = &hooks.after_unpark {
            self.stop_searching();
            let _running = context::enter_code(Running::hook(Hook::Unpark));
            hook();
        }
    }

    /// The runtime stops: ends the tasks of this seat, then the seat.
    fn stop(&self, seat: u32) {
        self.stop_searching();
        self.shared.stopped.meet();
        // Nobody runs a task any more that could be stuck.
        self.shared.vacant.wake_all();
        self.shared.close_tasks(seat);
        // Nobody's tasks run or drop any more when the drivers go.
        self.shared.stopped.meet();
        self.shared.close_seat(seat);
    }

    // ---- what the phases are made of --------------------------------------

    #[inline]
    fn poll_once(&self, task: Notified) {
        if let Some(again) = task.run() {
            self.push_back(again);
            // A task that gives way gives way to what the driver has as well:
            // that is looked at before the task's next turn.
            let ahead = self.core.queue.len() as u32;
            self.until_fair.set(self.until_fair.get().min(ahead));
        }
    }

    /// Collects what became ready at the seat, unless it was lost.
    fn collect(&self, seat: u32, limit: Limit, wakes: &mut Wakes) {
        let place = self.shared.seat(seat);
        if !place.park(&self.core.slot, limit, wakes) {
            self.core.slot.set_ticket(Ticket::NONE);
        }
    }

    /// Wakes what was collected, in order and without the LIFO slot; foreign
    /// wakers last.
    fn dispatch(&self, seat: u32, mut wakes: Wakes) {
        let foreign = &self.shared.seat(seat).foreign;
        if !wakes.is_empty() {
            let many = wakes.len() > 1;
            self.is_dispatching.set(true);
            for waker in wakes.drain() {
                if is_task_waker(&waker) {
                    waker.wake();
                } else {
                    foreign.push(waker);
                }
            }
            self.is_dispatching.set(false);
            if many {
                self.notify();
            }
        }
        self.wakes.replace(wakes);
        if !foreign.is_empty() {
            self.wake_foreign(seat);
        }
    }

    /// Wakes what is not ours: code that may do anything. Should one block,
    /// whoever takes the seat goes on with the rest.
    #[cold]
    fn wake_foreign(&self, seat: u32) {
        self.stop_searching();
        while self.seat().is_some()
            && let Some(waker) = self.shared.seat(seat).foreign.pop()
        {
            wake_contained(waker);
        }
    }

    fn steal(&self) -> Option<Notified> {
        let slots = self.shared.slots();
        let count = slots.len();
        let start = self.next_random() as usize % count;
        for slot in slots.clone().cycle().skip(start).take(count) {
            if Arc::ptr_eq(slot, &self.core.slot) {
                continue;
            }
            loop {
                match slot.stealer.steal_batch_and_pop(&self.core.queue) {
                    Steal::Success(task) => return Some(task),
                    Steal::Retry => {}
                    Steal::Empty => break,
                }
            }
        }
        let mut seats = self.shared.seats.iter();
        seats.find_map(|seat| seat.inbox.pop(&self.inbox_streak))
    }

    fn stop_searching(&self) {
        if self.is_searching.replace(false)
            && self.shared.idle.stop_searching()
            && self.shared.has_work()
        {
            self.shared.notify();
        }
    }

    /// Wakes a sleeping worker to share what is queued here.
    fn notify(&self) {
        if self.shared.seats.len() > 1 {
            self.shared.notify();
        }
    }

    fn push_back(&self, task: Notified) {
        if self.seat().is_none() {
            return self.shared.push_remote(task);
        }
        self.core.queue.push(task);
        self.notify();
    }

    /// Queues a task that was woken on this thread. Should the seat be taken
    /// at this moment, the guard finds the task (`rescue`).
    pub(super) fn push_woken(&self, task: Notified) {
        if self.is_dispatching.get() {
            self.core.queue.push(task);
        } else if let Some(before) = self.core.slot.put_lifo(task) {
            self.core.queue.push(before);
            self.notify();
        }
    }

    /// Works with `ticket` from now on.
    ///
    /// The driver is looked at first, and what it brings goes before the inbox:
    /// if each turn at a seat began with a task from there, and each of those
    /// blocked, timers and sockets would never get theirs.
    pub(super) fn sit_down(&self, ticket: Ticket) {
        self.until_fair.set(0);
        self.until_inbox.set(self.shared.config.inbox_interval);
        self.core.slot.set_ticket(ticket);
        if let Some(seat) = ticket.seat() {
            self.shared.seat(seat).set_sitting(&self.core.slot);
        }
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

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.core.slot
    }

    /// Sits down at `seat`, whoever is there: it is relieved.
    pub(super) fn take_seat(&self, seat: u32) {
        let shared = &self.shared;
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

    /// Where it works; `None` as soon as it is known to be relieved.
    #[inline]
    pub(crate) fn seat(&self) -> Option<u32> {
        self.core.slot.ticket().seat()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    pub(super) fn into_core(self) -> Core {
        self.core
    }

    /// Marsaglia's xorshift: good enough to spread thieves over victims.
    fn next_random(&self) -> u32 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.random.set(x);
        x
    }
}

/// Calls a waker that may be no task's: foreign code, which is seen by the
/// guard, and whose panic ends here.
pub(super) fn wake_contained(waker: Waker) {
    let _running = context::enter_code(Running::WAKER);
    if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
        tracing::error!("a waker that is no task's panicked");
    }
}

/// Counts down to the next time; says whether that is now.
fn is_due(until: &Cell<u32>, interval: u32) -> bool {
    let left = until.get();
    if left > 1 {
        until.set(left - 1);
        return false;
    }
    until.set(interval);
    true
}

impl Core {
    pub(super) fn new(place: usize) -> Core {
        let queue = Queue::new_fifo();
        Core {
            place,
            slot: Arc::new(Slot::new(queue.stealer())),
            queue,
        }
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("queued", &self.queue.len())
            .finish()
    }
}
