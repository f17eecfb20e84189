//! A worker: the loop, and what a task's wake does on a worker's thread.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use crossbeam_deque::{Steal, Worker as Queue};
use tapio_driver::{Limit, Wakes};

use super::shared::Shared;
use super::slot::Slot;
use super::ticket::Ticket;
use crate::cell::{Notified, is_task_waker};
use crate::context;
use crate::coop;
use crate::post::{Hook, Running};
use crate::rounds;

/// Tasks run in a row from the LIFO slot before the queue gets its turn, so
/// that two tasks which wake each other do not starve the rest.
const LIFO_STREAK_MAX: u32 = 3;

/// Room for so many wakers from the start: a worker that takes a stuck one's
/// seat may have to do without the allocator.
const WAKES_ROOM: usize = 256;

/// A queue and the slot through which others take from it.
pub(super) struct Core {
    /// Which of the runtime's slots it has.
    pub(super) place: usize,
    pub(super) slot: Arc<Slot>,
    pub(super) queue: Queue<Notified>,
}

/// A thread that runs tasks.
pub(crate) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) core: Core,
    /// Tasks to run until the next look at the driver, and at the inbox.
    pub(super) until_fair: Cell<u32>,
    pub(super) until_inbox: Cell<u32>,
    /// Tasks taken from inboxes since the last that was new.
    inbox_streak: Cell<u32>,
    is_searching: Cell<bool>,
    /// Wakes come from the driver, in a batch: they keep their order.
    is_dispatching: Cell<bool>,
    random: Cell<u32>,
    wakes: RefCell<Wakes>,
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

    // ---- the loop, one named phase after the other -----------------------

    /// Works at the seat until the runtime stops or the worker is relieved.
    pub(super) fn run(&self) {
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

    /// Now and then, however much work there is, and after a task that was
    /// stuck: looks at the driver and the timers.
    pub(super) fn keep_fair(&self, seat: u32) {
        if self.core.slot.take_overdue() {
            self.be_fair_first();
        }
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
    pub(super) fn stop(&self, seat: u32) {
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

    pub(super) fn stop_searching(&self) {
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

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.core.slot
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
