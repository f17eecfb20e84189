//! [`Idle`] under loom: whatever the order, workers never all sleep while
//! work is left.
//!
//! The workers here do what `Worker::run`, `search`, `park` and
//! `stop_searching` do, step by step, with a counter in place of queues and
//! an `Alarm` in place of drivers. Should a wake-up be lost, all threads
//! end up asleep, and loom says "deadlock".
//!
//! `RUSTFLAGS="--cfg tapio_model" cargo test -p tapio --release --lib model`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize as Unwatched};

use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::idle::Idle;
use crate::sync_facade::{AtomicUsize, Ordering};

/// What a driver is to a worker: it sleeps there until it was unparked.
struct Alarm {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    fn new() -> Alarm {
        Alarm {
            is_set: Mutex::new(false),
            changed: Condvar::new(),
        }
    }

    fn notify(&self) {
        *self.is_set.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut is_set = self.is_set.lock().unwrap();
        while !std::mem::take(&mut *is_set) {
            is_set = self.changed.wait(is_set).unwrap();
        }
    }
}

/// What `Shared` is to the workers.
struct Site {
    idle: Idle,
    /// Tasks that are queued somewhere. Relaxed throughout: the fences in
    /// `Idle` are on trial, not the queues.
    queued: AtomicUsize,
    alarms: Vec<Alarm>,
    /// Tasks there are in all: when they have been run the workers stop.
    tasks: usize,
    /// Tasks that were begun, and that were run. Not watched by loom, to which
    /// each watched access is another order to try.
    begun: Unwatched,
    done: Unwatched,
    is_stopping: AtomicBool,
    first: First,
    /// Where the first task waits for the next, if it does.
    next: Alarm,
}

/// What the first task that is run does.
#[derive(Clone, Copy, PartialEq)]
enum First {
    Nothing,
    /// Adds another.
    Adds,
    /// Waits until another has been run, on another worker.
    Waits,
}

impl Site {
    fn new(seats: u32, tasks: usize, first: First) -> Arc<Site> {
        Arc::new(Site {
            idle: Idle::new(seats as usize),
            queued: AtomicUsize::new(0),
            alarms: (0..seats).map(|_| Alarm::new()).collect(),
            tasks,
            begun: Unwatched::new(0),
            done: Unwatched::new(0),
            is_stopping: AtomicBool::new(false),
            first,
            next: Alarm::new(),
        })
    }

    fn add(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.notify();
    }

    fn notify(&self) {
        if let Some(seat) = self.idle.seat_to_wake() {
            self.alarms[seat as usize].notify();
        }
    }

    fn take(&self) -> bool {
        let queued = self.queued.load(Ordering::Relaxed);
        queued > 0
            && self
                .queued
                .compare_exchange(queued, queued - 1, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn has_work(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// What the tasks do.
    fn run_one(&self) {
        let is_first = self.begun.fetch_add(1, Ordering::Relaxed) == 0;
        match self.first {
            First::Nothing => {}
            First::Adds if is_first => self.add(),
            First::Adds => {}
            First::Waits if is_first => {
                while self.done.load(Ordering::Relaxed) == 0 {
                    self.next.wait();
                }
            }
            First::Waits => {}
        }
        if self.done.fetch_add(1, Ordering::Relaxed) + 1 == self.tasks {
            self.is_stopping.store(true, Ordering::Relaxed);
            for alarm in &self.alarms {
                alarm.notify();
            }
        }
        self.next.notify();
    }
}

struct Worker {
    site: Arc<Site>,
    seat: u32,
    is_searching: bool,
}

impl Worker {
    fn new(site: &Arc<Site>, seat: u32) -> Worker {
        Worker {
            site: Arc::clone(site),
            seat,
            is_searching: false,
        }
    }

    fn start(site: &Arc<Site>, seat: u32) -> thread::JoinHandle<()> {
        let worker = Worker::new(site, seat);
        thread::spawn(move || worker.run())
    }

    /// One that has just entered the list of sleepers.
    fn start_asleep(site: &Arc<Site>, seat: u32) -> thread::JoinHandle<()> {
        let mut worker = Worker::new(site, seat);
        site.idle.sleep(seat);
        thread::spawn(move || {
            worker.sleep();
            worker.run();
        })
    }

    fn run(mut self) {
        while !self.site.is_stopping() {
            if self.site.take() || self.search() {
                self.run_task();
            } else {
                self.park();
            }
        }
        self.stop_searching();
    }

    fn run_task(&mut self) {
        self.stop_searching();
        self.site.run_one();
    }

    fn search(&mut self) -> bool {
        if !self.is_searching {
            if !self.site.idle.start_searching() {
                return false;
            }
            self.is_searching = true;
        }
        self.site.take()
    }

    fn park(&mut self) {
        self.stop_searching();
        self.site.idle.sleep(self.seat);
        self.sleep();
    }

    fn sleep(&mut self) {
        if !self.site.has_work() && !self.site.is_stopping() {
            self.site.alarms[self.seat as usize].wait();
        }
        if self.site.idle.wake(self.seat) {
            self.is_searching = true;
        }
    }

    fn stop_searching(&mut self) {
        if std::mem::take(&mut self.is_searching)
            && self.site.idle.stop_searching()
            && self.site.has_work()
        {
            self.site.notify();
        }
    }
}

fn check(preemptions_max: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions_max));
    builder.max_branches = 10_000;
    builder.check(model);
}

#[test]
fn one_sleeper_hears_of_work() {
    check(3, || {
        let site = Site::new(1, 2, First::Nothing);
        let worker = Worker::start(&site, 0);
        site.add();
        site.add();
        worker.join().unwrap();
    });
}

#[test]
fn two_sleepers_leave_no_work() {
    check(3, || {
        let site = Site::new(2, 1, First::Nothing);
        let first = Worker::start(&site, 0);
        let second = Worker::start(&site, 1);
        site.add();
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn work_that_a_task_adds_is_not_left() {
    check(2, || {
        let site = Site::new(2, 2, First::Adds);
        let first = Worker::start(&site, 0);
        let second = Worker::start(&site, 1);
        site.add();
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// An adder wakes nobody while somebody searches; who then finds something,
/// and is busy with it for long, hands the wake-up on.
#[test]
fn work_added_while_somebody_searches_is_not_left() {
    check(2, || {
        let site = Site::new(2, 2, First::Waits);
        let second = Worker::start_asleep(&site, 1);
        let first = Worker::start(&site, 0);
        site.add();
        site.add();
        first.join().unwrap();
        second.join().unwrap();
    });
}
