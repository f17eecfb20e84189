//! What all workers of a runtime have in common.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tapio_driver::{DriverKind, Options, Refusal, Wakes};

use super::gate::Gate;
use super::here;
use super::idle::Idle;
use super::posts::Posts;
use super::seat::Seat;
use super::slot::Slot;
use super::spares;
use super::unhandled::Unhandled;
use super::vacant::Vacant;
use super::worker::{Core, wake_contained};
use crate::blocking::Pool;
use crate::cell::{JoinHandle, Named, Notified, OwnedTasks, Schedule, TaskRef, new_task};
use crate::compat::Compat;
use crate::context;
use crate::guard::{Counters, Settings};
use crate::post::Running;
use crate::report::Unobserved;
use crate::task_id::Id;

/// How a runtime runs its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// On the thread that blocks on it.
    CurrentThread,
    /// On threads of its own.
    MultiThread,
}

/// Functions that users have called along a thread's way.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) before_park: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) after_unpark: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What a scheduler is built with.
pub(crate) struct Config {
    /// What the user calls this runtime.
    pub(crate) name: Option<String>,
    pub(crate) flavor: Flavor,
    pub(crate) seats: usize,
    pub(crate) driver: Options,
    pub(crate) hooks: Hooks,
    /// Tasks run between two looks at the driver while there is work.
    pub(crate) event_interval: u32,
    /// Tasks run between two looks at the inbox while there is work.
    pub(crate) inbox_interval: u32,
    /// Workers that stand in for blocked ones, beyond the seats.
    pub(crate) substitutes_max: usize,
    /// How the guard watches; `None` for not at all.
    pub(crate) guard: Option<Settings>,
    /// Whether another thread takes a stuck worker's place.
    pub(crate) is_rescue_enabled: bool,
    /// Whether threads call a function of the user's before their work.
    pub(crate) has_start_hook: bool,
    /// Whether a panic in a task ends the runtime.
    pub(crate) ends_on_panic: bool,
    pub(crate) is_io_enabled: bool,
    pub(crate) is_time_enabled: bool,
}

pub(crate) struct Shared {
    pub(super) config: Config,
    pub(super) seats: Box<[Seat]>,
    /// Every slot that was ever used, in the order of first use; those in use
    /// are among the first `slots_used`.
    slots: Box<[OnceLock<Arc<Slot>>]>,
    slots_used: AtomicUsize,
    /// Queues of workers that have ended, by their slots' places, to be used
    /// again.
    cores: Mutex<BTreeMap<usize, Core>>,
    pub(super) idle: Idle,
    pub(super) owned: OwnedTasks,
    pub(super) vacant: Vacant,
    pub(super) current: super::current::CoreCell,
    pub(crate) pool: Pool,
    pub(super) posts: Posts,
    pub(super) unhandled: Unhandled,
    /// What went wrong here.
    pub(crate) counters: Arc<Counters>,
    pub(crate) compat: Compat,
    is_stopping: AtomicBool,
    /// Workers meet here when they stop, so that every poll has ended before
    /// any driver is shut down.
    pub(super) stopped: Gate,
    next_seat: AtomicUsize,
    /// How operations are done, and why not by a ring: found out when first
    /// needed.
    operations: OnceLock<(DriverKind, Option<Refusal>)>,
}

impl Shared {
    pub(crate) fn new(config: Config, pool: Pool) -> io::Result<Arc<Shared>> {
        let mut seats = Vec::with_capacity(config.seats);
        let mut start = None;
        for _ in 0..config.seats {
            let driver = tapio_driver::open()?;
            let start = *start.get_or_insert_with(|| driver.remote().now());
            seats.push(Seat::new(seats.len(), driver, start));
        }
        let slots = config.seats + config.substitutes_max;
        Ok(Arc::new(Shared {
            seats: seats.into(),
            slots: (0..slots).map(|_| OnceLock::new()).collect(),
            slots_used: AtomicUsize::new(0),
            cores: Mutex::default(),
            idle: Idle::new(config.seats),
            owned: OwnedTasks::new(config.seats),
            vacant: Vacant::new(config.seats, spares::standing(&config)),
            current: super::current::CoreCell::default(),
            posts: Posts::default(),
            unhandled: Unhandled::default(),
            counters: Arc::clone(pool.counters()),
            pool,
            compat: Compat::start()?,
            is_stopping: AtomicBool::new(false),
            stopped: Gate::new(config.seats),
            next_seat: AtomicUsize::new(0),
            operations: OnceLock::new(),
            config,
        }))
    }

    pub(crate) fn flavor(&self) -> Flavor {
        self.config.flavor
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.config.name.as_deref()
    }

    pub(crate) fn is_io_enabled(&self) -> bool {
        self.config.is_io_enabled
    }

    pub(crate) fn is_time_enabled(&self) -> bool {
        self.config.is_time_enabled
    }

    /// How many workers there are, stand-ins not counted.
    pub(crate) fn workers(&self) -> usize {
        self.seats.len()
    }

    /// How operations are done, and why not by a ring.
    pub(crate) fn operations(&self) -> &(DriverKind, Option<Refusal>) {
        self.operations.get_or_init(|| {
            let outcome = self.config.driver.operations();
            match &outcome {
                (kind, None) => tracing::debug!("operations: {kind}"),
                (kind, Some(refusal)) => {
                    tracing::warn!("operations: {kind}, since io_uring was refused: {refusal}");
                }
            }
            outcome
        })
    }

    /// Spawns a task. When the runtime is shutting down the task comes back
    /// as well, to be ended by the caller once it holds nothing.
    pub(crate) fn spawn<F>(
        self: &Arc<Self>,
        future: F,
        id: Id,
        at: &'static Location<'static>,
    ) -> (JoinHandle<F::Output>, Option<TaskRef>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.enter(new_task(future, Arc::clone(self), id, at), id)
    }

    /// As `spawn`, for a task that has a name.
    pub(crate) fn spawn_named<F>(
        self: &Arc<Self>,
        future: F,
        name: &str,
        at: &'static Location<'static>,
    ) -> (JoinHandle<F::Output>, Option<TaskRef>)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let id = Id::next();
        let scheduler = Named::new(Arc::clone(self), id, name);
        self.enter(new_task(future, scheduler, id, at), id)
    }

    /// Lists a new task and queues it.
    #[inline(always)]
    fn enter<T>(
        self: &Arc<Self>,
        (owned, notified, handle): (TaskRef, Notified, JoinHandle<T>),
        id: Id,
    ) -> (JoinHandle<T>, Option<TaskRef>) {
        let shard = here::with_worker(|worker| {
            worker
                .filter(|worker| worker.belongs_to(self))
                .and_then(|worker| worker.seat())
        });
        let shard = shard.unwrap_or_else(|| id.get() as u32);
        match self.owned.enter(shard as usize, owned) {
            Ok(()) => {
                Self::queue(self, notified);
                (handle, None)
            }
            Err(refused) => (handle, Some(refused)),
        }
    }

    /// Queues a task that was just spawned.
    fn queue(this: &Arc<Self>, task: Notified) {
        match this.door() {
            Door::There(shared) => shared.push_remote_new(task),
            here @ Door::Here => <Arc<Shared> as Schedule>::schedule(here, task),
        }
    }

    /// A queue with its slot, for a worker that starts; `None` when as many
    /// workers as may be have one.
    pub(super) fn take_core(&self) -> Option<Core> {
        let mut cores = self.cores.lock();
        // Under the lock, so that slots fill up in order.
        let used = self.slots_used.load(Ordering::Relaxed);
        let (place, core) = match cores.pop_first() {
            Some(free) => free,
            None => {
                let slot = self.slots.get(used)?;
                let core = Core::new(used);
                slot.set(Arc::clone(&core.slot))
                    .expect("slots fill in order");
                (used, core)
            }
        };
        // Release pairs with the acquire in `slots`.
        self.slots_used
            .store(used.max(place + 1), Ordering::Release);
        Some(core)
    }

    /// Takes back the queue of a worker that ends, empty. Slots beyond the
    /// last in use are looked at no more, so that a storm of stalls leaves
    /// nothing to search.
    pub(super) fn give_core_back(&self, core: Core) {
        let mut cores = self.cores.lock();
        cores.insert(core.place, core);
        let mut used = self.slots_used.load(Ordering::Relaxed);
        while used > 0 && cores.contains_key(&(used - 1)) {
            used -= 1;
        }
        self.slots_used.store(used, Ordering::Release);
    }

    /// The slots there are.
    pub(super) fn slots(&self) -> impl ExactSizeIterator<Item = &Arc<Slot>> + Clone {
        // Acquire pairs with the release in `take_core`.
        let used = self.slots_used.load(Ordering::Acquire);
        self.slots[..used]
            .iter()
            .map(|slot| slot.get().expect("a prefix is filled"))
    }

    /// Whether anything is queued where others can take it.
    pub(super) fn has_work(&self) -> bool {
        self.slots().any(|slot| !slot.stealer.is_empty())
            || self.seats.iter().any(|seat| !seat.inbox.is_empty())
    }

    /// After work was added: wakes a sleeper, if nobody searches already.
    pub(super) fn notify(&self) {
        if let Some(seat) = self.idle.seat_to_wake() {
            self.seats[seat as usize].remote().unpark();
        }
    }

    /// Queues a task that has run before from a thread that is no worker here.
    pub(super) fn push_remote(&self, task: Notified) {
        let seat = self.pick_seat();
        seat.inbox.push_returning(task);
        self.tell_of_inbox(seat);
    }

    /// Queues a new task, likewise.
    fn push_remote_new(&self, task: Notified) {
        let seat = self.pick_seat();
        seat.inbox.push_new(task);
        self.tell_of_inbox(seat);
    }

    fn tell_of_inbox(&self, seat: &Seat) {
        match self.config.flavor {
            Flavor::CurrentThread => seat.remote().unpark(),
            Flavor::MultiThread => self.notify(),
        }
    }

    /// A seat for work that comes from outside: each in turn.
    fn pick_seat(&self) -> &Seat {
        let index = match self.seats.len() {
            1 => 0,
            // Relaxed: only a rough balance matters.
            seats => self.next_seat.fetch_add(1, Ordering::Relaxed) % seats,
        };
        &self.seats[index]
    }

    /// The seat whose wheel and driver serve what begins on this thread.
    pub(crate) fn home_seat(self: &Arc<Self>) -> u32 {
        here::with_worker(|worker| {
            worker
                .filter(|worker| worker.belongs_to(self))
                .and_then(|worker| worker.seat())
        })
        .unwrap_or_else(|| (context::thread_number() % self.seats.len()) as u32)
    }

    pub(crate) fn seat(&self, seat: u32) -> &Seat {
        &self.seats[seat as usize]
    }

    /// Calls `f` with a seat's wheel, and wakes the seat's worker if that
    /// must now sleep less long than it means to.
    pub(crate) fn with_wheel<R>(
        self: &Arc<Self>,
        seat: u32,
        f: impl FnOnce(&mut crate::wheel::Wheel) -> R,
    ) -> R {
        let is_own = here::with_worker(|worker| {
            worker.is_some_and(|worker| worker.seat() == Some(seat) && worker.belongs_to(self))
        });
        let seat = self.seat(seat);
        if is_own {
            let outcome = seat.with_own_wheel(f);
            // Whoever took the seat in this very moment may have looked at
            // the next deadline already (`Seat::occupy`).
            if here::with_worker(|worker| worker.is_some_and(|worker| worker.seat().is_none())) {
                seat.remote().unpark();
            }
            return outcome;
        }
        let (outcome, earlier) = seat.with_wheel(f);
        if earlier {
            seat.remote().unpark();
        }
        outcome
    }

    pub(crate) fn is_stopping(&self) -> bool {
        // Relaxed: a flag that is looked at again and again.
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Tells every worker to stop.
    pub(crate) fn stop(&self) {
        // Relaxed: the unparks below are what orders it for sleepers.
        self.is_stopping.store(true, Ordering::Relaxed);
        self.end_polls();
        for seat in &self.seats {
            seat.remote().unpark();
        }
        self.vacant.wake_all();
    }

    /// Ends all tasks but those that run, which end with their polls, and
    /// takes no more.
    pub(super) fn close_owned(&self) {
        for shard in 0..self.seats.len() {
            self.owned.close(shard);
        }
    }

    /// Ends everything at one seat: its tasks, then its timers and driver.
    pub(super) fn close_tasks(&self, seat: u32) {
        self.owned.close(seat as usize);
        self.drain();
    }

    pub(super) fn close_seat(&self, seat: u32) {
        let mut wakes = Wakes::default();
        self.seats[seat as usize].shut_down(&mut wakes);
        for waker in wakes.drain() {
            wake_contained(waker);
        }
        self.drain();
    }

    /// Drops what is still queued; its tasks have ended.
    pub(crate) fn drain(&self) {
        // Dropping a waker may run foreign code.
        let _running = context::enter_code(Running::WAKER);
        for seat in &self.seats {
            let streak = Cell::new(0);
            while let Some(task) = seat.inbox.pop(&streak) {
                drop(task);
            }
            while let Some(waker) = seat.foreign.pop() {
                drop(waker);
            }
        }
        for slot in self.slots() {
            while let Some(task) = slot.take_any() {
                drop(task);
            }
        }
    }

    /// How many tasks, timers and kernel registrations are alive.
    pub(crate) fn census(&self) -> (usize, usize, usize) {
        let timers = self.seats.iter().map(Seat::timers).sum();
        let live = self.seats.iter().map(|seat| seat.remote().live()).sum();
        (self.owned.len(), timers, live)
    }
}

/// How a woken task gets into the queues from the waking thread.
pub(crate) enum Door {
    /// The thread is a worker of this runtime.
    Here,
    /// It is not.
    There(Arc<Shared>),
}

impl Schedule for Arc<Shared> {
    type Door = Door;

    fn door(&self) -> Door {
        let is_here = here::with_worker(|worker| {
            worker.is_some_and(|worker| worker.seat().is_some() && worker.belongs_to(self))
        });
        if is_here {
            Door::Here
        } else {
            Door::There(Arc::clone(self))
        }
    }

    fn schedule(door: Door, task: Notified) {
        match door {
            Door::There(shared) => shared.push_remote(task),
            Door::Here => here::with_worker(|worker| {
                let worker = worker.expect("it was here when the door was opened");
                worker.push_woken(task);
            }),
        }
    }

    fn release(&self, task: &TaskRef) -> Option<TaskRef> {
        self.owned.remove(task)
    }

    fn poll_panicked(&self) {
        Shared::poll_panicked(self);
    }

    fn count_unobserved(&self, what: Unobserved) {
        self.counters.count_unobserved(what);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("flavor", &self.config.flavor)
            .field("seats", &self.seats.len())
            .finish_non_exhaustive()
    }
}
