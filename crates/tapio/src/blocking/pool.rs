//! The elastic pool.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use slab::Slab;

use crate::cell::Notified;
use crate::guard::Counters;
use crate::report::{LimitHit, Report};
use crate::threads;

/// Wraps the life of a thread, which it is given to call once.
pub(crate) type ThreadBody = dyn Fn(&mut dyn FnMut()) + Send + Sync;

/// What a pool is built with.
pub(crate) struct Config {
    pub(crate) thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) stack_bytes: Option<usize>,
    pub(crate) threads_max: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) thread_body: Arc<ThreadBody>,
    pub(crate) counters: Arc<Counters>,
}

#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Idle threads wait here for calls.
    work: Condvar,
    /// A shutdown waits here for threads.
    ended: Condvar,
    config: Config,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Notified>,
    /// Threads that wait for a call and were not promised one yet.
    idle: usize,
    /// Calls for which an idle thread was woken and has not come yet.
    promised: usize,
    /// Threads that were started for a call and have not come to it yet.
    starting: usize,
    /// Threads that serve calls. A thread leaves this count in the same step
    /// in which it finds the queue empty, so no call relies on one that ends.
    threads: usize,
    /// Threads that have not ended: those that serve, those about to end, and
    /// those that run something of their own, the workers.
    alive: usize,
    /// The calls that threads run, by where they were spawned.
    running: Slab<&'static Location<'static>>,
    is_shut_down: bool,
    /// Whether the limit was hit and said so.
    has_reported_limit: bool,
    /// Joined by whoever ends next or shuts down, so that no thread is left
    /// half-ended behind a finished shutdown.
    last_ended: Option<JoinHandle<()>>,
    handles: Vec<JoinHandle<()>>,
    /// Threads that ended before their handles came to the list: threads are
    /// started without the lock, since that may take long.
    ended_early: Vec<ThreadId>,
}

impl State {
    /// Keeps the handle of a thread that was started. What it gives back is to
    /// be joined, without the lock.
    #[must_use]
    fn keep(&mut self, handle: JoinHandle<()>) -> Option<JoinHandle<()>> {
        let id = handle.thread().id();
        match self.ended_early.iter().position(|early| *early == id) {
            Some(index) => {
                self.ended_early.swap_remove(index);
                self.last_ended.replace(handle)
            }
            None => {
                self.handles.push(handle);
                None
            }
        }
    }
}

/// A thread of the pool's, which says so when it ends.
struct Thread {
    pool: Pool,
    /// Whether it has come to the calls that it was started for, if any.
    has_served: bool,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.pool.end_thread(self.has_served);
    }
}

/// Why a call was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    ShutDown,
    NoThread(io::Error),
}

impl Pool {
    pub(crate) fn new(config: Config) -> Pool {
        Pool(Arc::new(Inner {
            state: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
            config,
        }))
    }

    /// Puts a call in line, starting a thread if none is idle.
    pub(crate) fn submit(&self, task: Notified) -> Result<(), Refused> {
        let mut state = self.0.state.lock();
        if state.is_shut_down {
            drop(state);
            task.into_task().shut_down();
            return Err(Refused::ShutDown);
        }
        state.queue.push_back(task);
        if state.idle > 0 {
            state.idle -= 1;
            state.promised += 1;
            self.0.work.notify_one();
            return Ok(());
        }
        if state.threads == self.0.config.threads_max {
            let is_first = !std::mem::replace(&mut state.has_reported_limit, true);
            drop(state);
            self.hit_limit(is_first);
            return Ok(());
        }
        state.threads += 1;
        state.alive += 1;
        state.starting += 1;
        drop(state);
        let started = self.start_thread();
        let mut state = self.0.state.lock();
        let error = match started {
            Ok(handle) => {
                let before = state.keep(handle);
                drop(state);
                join(before);
                return Ok(());
            }
            Err(error) => error,
        };
        state.threads -= 1;
        state.alive -= 1;
        state.starting -= 1;
        self.0.ended.notify_all();
        if state.threads > 0 {
            // Somebody will come to it in time.
            return Ok(());
        }
        // With those that relied on this thread.
        let orphans = std::mem::take(&mut state.queue);
        drop(state);
        for task in orphans {
            task.into_task().shut_down();
        }
        Err(Refused::NoThread(error))
    }

    /// A call waits in line since there may be no more threads.
    #[cold]
    fn hit_limit(&self, is_first: bool) {
        let config = &self.0.config;
        // Relaxed: a figure, which orders nothing.
        config
            .counters
            .blocking_limit_hits
            .fetch_add(1, Ordering::Relaxed);
        if is_first {
            let consequence = "blocking calls wait in line; said once, counted in \
                               RuntimeMetrics::num_blocking_limit_hits\n  help: calls that take \
                               long belong on threads of their own; else raise the limit";
            let limit = LimitHit::new("max_blocking_threads", config.threads_max, consequence);
            Report::Limit(limit).deliver();
        }
    }

    fn start_thread(&self) -> io::Result<JoinHandle<()>> {
        let pool = self.clone();
        let config = &self.0.config;
        threads::start((config.thread_name)(), config.stack_bytes, move || {
            let mut thread = Thread {
                pool: pool.clone(),
                has_served: false,
            };
            let body = Arc::clone(&pool.0.config.thread_body);
            body(&mut || {
                thread.has_served = true;
                pool.serve();
            });
        })
    }

    /// Starts a thread of the scheduler's, which a shutdown waits for as well.
    pub(crate) fn start_worker(&self, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let pool = self.clone();
        let config = &self.0.config;
        let mut body = Some(body);
        self.0.state.lock().alive += 1;
        let started = threads::start((config.thread_name)(), config.stack_bytes, move || {
            let _thread = Thread {
                pool: pool.clone(),
                has_served: true,
            };
            let wrapper = Arc::clone(&pool.0.config.thread_body);
            wrapper(&mut || {
                if let Some(body) = body.take() {
                    body();
                }
            });
        });
        let mut state = self.0.state.lock();
        match started {
            Ok(handle) => {
                let before = state.keep(handle);
                drop(state);
                join(before);
                Ok(())
            }
            Err(error) => {
                state.alive -= 1;
                self.0.ended.notify_all();
                Err(error)
            }
        }
    }

    /// The life of a thread: calls, then idle, then calls.
    fn serve(&self) {
        let mut state = self.0.state.lock();
        state.starting -= 1;
        loop {
            while let Some(task) = state.queue.pop_front() {
                let running = state.running.insert(task.spawned_at());
                drop(state);
                let again = task.run();
                debug_assert!(again.is_none(), "a blocking call is polled once");
                state = self.0.state.lock();
                state.running.remove(running);
            }
            if state.is_shut_down {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            // `None` for as long as it takes: a time beyond the clock's reach.
            let limit = Instant::now().checked_add(self.0.config.keep_alive);
            loop {
                let timed_out = match limit {
                    Some(limit) => self.0.work.wait_until(&mut state, limit).timed_out(),
                    None => {
                        self.0.work.wait(&mut state);
                        false
                    }
                };
                if state.promised > 0 {
                    state.promised -= 1;
                    break;
                }
                if state.is_shut_down || timed_out {
                    state.idle -= 1;
                    if state.is_shut_down {
                        break;
                    }
                    state.threads -= 1;
                    return;
                }
            }
        }
    }

    /// The last that a thread does, panicking or not. One that never came to
    /// its call, since a hook panicked, leaves the call to others or ends it.
    fn end_thread(&self, has_served: bool) {
        let mut state = self.0.state.lock();
        state.alive -= 1;
        let mut orphans = VecDeque::new();
        if !has_served {
            state.threads -= 1;
            state.starting -= 1;
            if state.threads == 0 {
                orphans = std::mem::take(&mut state.queue);
            }
        }
        let me = std::thread::current().id();
        let index = state
            .handles
            .iter()
            .position(|handle| handle.thread().id() == me);
        let before = match index {
            Some(index) => {
                let handle = state.handles.swap_remove(index);
                state.last_ended.replace(handle)
            }
            None => {
                state.ended_early.push(me);
                None
            }
        };
        self.0.ended.notify_all();
        drop(state);
        for task in orphans {
            task.into_task().shut_down();
        }
        join(before);
    }

    /// Refuses new calls, drops those that have not begun, and waits for
    /// those that have, at most for `limit`. Says whether all have ended.
    pub(crate) fn shut_down(&self, limit: Option<Duration>) -> bool {
        let mut state = self.0.state.lock();
        state.is_shut_down = true;
        // The first in line have a thread that is on its way: they have begun.
        let begun = (state.promised + state.starting).min(state.queue.len());
        let waiting = state.queue.split_off(begun);
        self.0.work.notify_all();
        drop(state);
        for task in waiting {
            task.into_task().shut_down();
        }
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut state = self.0.state.lock();
        while state.alive > 0 {
            match deadline {
                None => self.0.ended.wait(&mut state),
                Some(deadline) => {
                    if self.0.ended.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        let last = state.last_ended.take();
        let all = state.alive == 0;
        drop(state);
        join(last);
        all
    }

    /// How many threads there are, and how many calls wait in line.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.0.state.lock();
        (state.threads, state.queue.len())
    }
}

/// Waits for a thread that is past everything of ours.
fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        let _ = thread.join();
    }
}

impl Pool {
    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.0.config.counters
    }

    /// How many threads there are, with those of the scheduler.
    pub(crate) fn alive(&self) -> usize {
        self.0.state.lock().alive
    }

    /// The calls that threads run at this moment, by where they were spawned.
    pub(crate) fn running_calls(&self) -> Vec<&'static Location<'static>> {
        let state = self.0.state.lock();
        state.running.iter().map(|(_, at)| *at).collect()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, queued) = self.counts();
        f.debug_struct("Pool")
            .field("threads", &threads)
            .field("queued", &queued)
            .finish()
    }
}
