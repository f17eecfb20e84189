//! Who waits for which lock: one table for the whole process.
//!
//! A wait is entered when a future is first told to wait, and taken out when
//! it has the lock or is dropped. One lock of our own guards the table; no
//! waker, listener or other foreign code runs under it.
//!
//! `knot` is the question of who can never go on; `circle` asks it of the
//! table and proves the answer; `look` is what the guard does on its rounds;
//! `words` turns what was found into reports.

mod circle;
mod knot;
mod look;
mod words;

use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::sync::{Arc, LazyLock};
use std::task::Waker;
use std::thread::Thread;
use std::time::Instant;

use parking_lot::Mutex;
use slab::Slab;

use self::circle::Suspect;
use self::look::{Due, Head, Watched};
use super::actor::{Actor, Here};
use super::ledger::{Ledger, Note};
use super::raw::Ask;
use super::{budget, say, stats};
use crate::main_future::Main;
use crate::report::{LockUser, Report};
use crate::rounds;

static GRAPH: LazyLock<Mutex<Graph>> = LazyLock::new(|| {
    rounds::join(rounds::Stop {
        due: look::due,
        look: look::look,
    });
    Mutex::default()
});

/// What may wake one that waits.
#[derive(Debug)]
pub(super) enum Waking {
    /// The task's wakers, of which this is one.
    Task(Waker),
    /// The wakers of a future that its thread blocks on.
    Main(Arc<Main>),
    /// This lock alone: its thread sleeps.
    Blocked,
    /// Whatever another executor knows.
    Foreign,
    /// Whatever polls it inside of a task or a `block_on`.
    Unknown,
}

#[derive(Default)]
struct Graph {
    waits: Slab<Wait>,
    by_actor: HashMap<Actor, Vec<usize>>,
    /// The locks that somebody waits for, by the address of their ledger.
    queues: HashMap<usize, Queue>,
    /// Circles that were found and not proved yet.
    suspects: Vec<Suspect>,
    due: Due,
    /// Different for each wait there ever was.
    next_serial: u64,
}

struct Wait {
    here: Here,
    /// The thread, for what is no task.
    thread: Option<Thread>,
    queue: usize,
    ask: Ask,
    since: Instant,
    waking: Waking,
    serial: u64,
    /// A deadlock that it is part of was told.
    is_told: bool,
    /// The guard has looked at it after it had lasted for the budget.
    is_seen_late: bool,
}

/// A lock that somebody waits for.
struct Queue {
    ledger: Arc<Ledger>,
    /// In the order in which they came.
    waits: VecDeque<usize>,
    /// When somebody who waited got it last; when the first began to wait, if
    /// nobody did.
    given_at: Instant,
    watched: Vec<Watched>,
    head: Option<Head>,
}

/// One wait; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket(usize);

/// Somebody waits from now on.
pub(super) fn wait(ledger: &Arc<Ledger>, here: Here, ask: Ask, waking: Waking) -> Ticket {
    let now = Instant::now();
    let thread = here.actor.task().is_none().then(std::thread::current);
    let mut graph = GRAPH.lock();
    let address = Arc::as_ptr(ledger).addr();
    let serial = graph.next_serial;
    graph.next_serial += 1;
    let key = graph.waits.insert(Wait {
        here,
        thread,
        queue: address,
        ask,
        since: now,
        waking,
        serial,
        is_told: false,
        is_seen_late: false,
    });
    graph.by_actor.entry(here.actor).or_default().push(key);
    let queue = graph
        .queues
        .entry(address)
        .or_insert_with(|| Queue::new(ledger, now));
    queue.waits.push_back(key);
    if queue.waits.len() == 1 {
        queue.watch_all(now);
    }
    queue.ledger.want_word(false);
    let before = graph.suspects.len();
    let report = graph.closing(key);
    let is_suspect = graph.suspects.len() > before;
    let at = if is_suspect { now } else { now + budget::get() };
    let is_news = graph.due.bring_forward(at);
    drop(graph);
    if is_suspect {
        rounds::ring();
    } else if is_news {
        rounds::call();
    }
    say::all(report);
    Ticket(key)
}

/// A lock that the guard would not have looked at again was released.
#[cold]
pub(super) fn released() {
    let mut graph = GRAPH.lock();
    let at = Instant::now() + budget::get();
    let is_news = graph.due.bring_forward(at);
    drop(graph);
    if is_news {
        rounds::call();
    }
}

impl Ticket {
    /// It has got the lock, and that is written down.
    #[cold]
    pub(super) fn granted(self, note: Note) {
        let ticket = std::mem::ManuallyDrop::new(self);
        end(ticket.0, Some(note));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        end(self.0, None);
    }
}

fn end(key: usize, granted: Option<Note>) {
    let now = Instant::now();
    let mut graph = GRAPH.lock();
    let (wait, ledger, reports) = graph.remove(key, granted, now);
    drop(graph);
    let site = wait.here.site.unwrap_or(wait.ask.place);
    stats::add(site, &ledger.info, now - wait.since);
    // With the waker, which may be the last reference to a task.
    drop(wait);
    say::all(reports);
}

impl Graph {
    fn remove(
        &mut self,
        key: usize,
        granted: Option<Note>,
        now: Instant,
    ) -> (Wait, Arc<Ledger>, Vec<Report>) {
        let wait = self.waits.remove(key);
        if let Some(keys) = self.by_actor.get_mut(&wait.here.actor) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_actor.remove(&wait.here.actor);
            }
        }
        let queue = self.queues.get_mut(&wait.queue);
        let queue = queue.expect("a lock that is waited for has a queue");
        if let Some(index) = queue.waits.iter().position(|other| *other == key) {
            queue.waits.remove(index);
        }
        let ledger = Arc::clone(&queue.ledger);
        if let Some(note) = granted {
            queue.given_at = now;
            queue.watch(ledger.id(note), now);
        }
        let reports = queue.strike_over(now);
        if queue.waits.is_empty() {
            ledger.want_word(false);
            self.queues.remove(&wait.queue);
        }
        (wait, ledger, reports)
    }
}

impl Queue {
    fn new(ledger: &Arc<Ledger>, now: Instant) -> Queue {
        Queue {
            ledger: Arc::clone(ledger),
            waits: VecDeque::new(),
            given_at: now,
            watched: Vec::new(),
            head: None,
        }
    }
}

/// Where somebody who waits stands, for a report.
type Waiter = (LockUser, &'static Location<'static>);

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::task::{Context, Waker};

    use super::{GRAPH, stats};
    use crate::runtime::Runtime;
    use crate::sync::Mutex;

    /// The only test of this binary that waits for locks.
    #[test]
    fn the_table_is_empty_when_nobody_waits_and_names_no_lock_that_is_gone() {
        let runtime = Runtime::new().expect("a runtime");
        let lock = Arc::new(Mutex::new(()));
        let taken = Arc::clone(&lock);
        let (sender, told) = mpsc::channel();
        let _subscription = crate::guard::on_report(move |_| {
            let _ = sender.send(());
        });
        let task = runtime.spawn(async move {
            let _one = taken.lock().await;
            let _other = taken.lock().await;
        });
        told.recv().expect("a deadlock");
        assert_eq!(GRAPH.lock().waits.len(), 1);
        task.abort();
        assert!(runtime.block_on(task).is_err());
        // Granted, and given up.
        let guard = lock.try_lock().expect("it is free");
        let mut granted = Box::pin(lock.lock());
        let mut given_up = Box::pin(lock.lock());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(granted.as_mut().poll(&mut cx).is_pending());
        assert!(given_up.as_mut().poll(&mut cx).is_pending());
        assert_eq!(GRAPH.lock().waits.len(), 2);
        drop(given_up);
        drop(guard);
        assert!(granted.as_mut().poll(&mut cx).is_ready());
        {
            let graph = GRAPH.lock();
            assert!(graph.waits.is_empty());
            assert!(graph.by_actor.is_empty());
            assert!(graph.queues.is_empty());
        }
        let stats = stats::wait_stats();
        let stat = stats
            .iter()
            .find(|stat| stat.lock.made_at.file() == file!());
        let stat = stat.expect("waits are counted");
        assert!(stat.waits >= 1 && stat.site.file() == file!());
        assert!(stats.iter().any(|stat| !stat.waited.is_zero()));
        // A leaked future waits for ever, its lock lives no longer than others.
        let lock = Mutex::new(());
        let guard = lock.try_lock().expect("it is free");
        let mut leaked = Box::pin(lock.lock());
        assert!(leaked.as_mut().poll(&mut cx).is_pending());
        let _leaked = std::mem::ManuallyDrop::new(leaked);
        drop(guard);
        let moved = lock;
        drop(moved);
        let graph = GRAPH.lock();
        assert_eq!(graph.waits.len(), 1);
        assert_eq!(
            graph.queues.values().next().map(|q| q.ledger.holds().len()),
            Some(0)
        );
    }
}
