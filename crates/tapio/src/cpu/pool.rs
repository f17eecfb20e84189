//! The pool, one for the process.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tapio_driver::lock::Mutex;
use tapio_driver::{Inherited, PerProcess, Process};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cell::Notified;
use crate::report::{LimitHit, Report};
use crate::threads;

static POOL: PerProcess<OnceLock<Pool>> = PerProcess::new(|_| OnceLock::new());
/// Held by whoever starts it.
static STARTING: PerProcess<Mutex<()>> = PerProcess::new(|_| Mutex::default());

#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    pub(super) threads: usize,
    pub(super) queue_max: usize,
    pub(super) nice: i32,
}

#[derive(Debug)]
pub(super) struct Pool {
    threads: ThreadPool,
    pub(super) config: Config,
    /// One for each call that may be in the queue.
    places: Arc<Semaphore>,
    pub(super) counters: Counters,
    has_reported_limit: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) running: AtomicU64,
    pub(super) done: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) full: AtomicU64,
}

impl Pool {
    /// The pool, if it was started.
    pub(super) fn started() -> Option<&'static Pool> {
        POOL.get().get()
    }

    /// Starts the pool; says whether that had been done before.
    pub(super) fn start(config: impl FnOnce() -> io::Result<Config>) -> io::Result<Started> {
        let _starting = STARTING.lock();
        if let Some(pool) = Pool::started() {
            return Ok(Started::Before(pool));
        }
        let config = config()?;
        let pool = Pool {
            threads: threads_of(config)?,
            config,
            places: Arc::new(Semaphore::new(config.queue_max)),
            counters: Counters::default(),
            has_reported_limit: AtomicBool::new(false),
        };
        Ok(Started::Now(POOL.get().get_or_init(|| pool)))
    }

    /// A place in the queue, if there is one.
    pub(super) fn try_place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            self.is_full();
        }
        place
    }

    /// Waits for a place in the queue.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("nobody closes it")
    }

    /// How many calls are in the queue.
    pub(super) fn queued(&self) -> usize {
        self.config.queue_max - self.places.available_permits()
    }

    fn is_full(&self) {
        // Relaxed: figures.
        self.counters.full.fetch_add(1, Ordering::Relaxed);
        if !self.has_reported_limit.swap(true, Ordering::Relaxed) {
            let consequence = "`cpu::spawn` waits for a place, `cpu::try_spawn` is refused";
            let limit = LimitHit::new("cpu_queue_max", self.config.queue_max, consequence);
            Report::Limit(limit).deliver();
        }
    }

    /// Puts a call in line, at its place.
    pub(super) fn submit(&self, call: Notified, place: OwnedSemaphorePermit) {
        // First come, first served, also for calls spawned by calls.
        self.threads.spawn_fifo(move || {
            drop(place);
            let process = Process::current();
            let again = call.run();
            if !process.is_current() {
                // The next call in line is the parent's.
                Inherited("a thread of the pool for computation cannot go on").abort();
            }
            debug_assert!(again.is_none(), "a call is polled once");
        });
    }

    /// Whether this thread is one of the pool's.
    pub(super) fn is_here(&self) -> bool {
        self.threads.current_thread_index().is_some()
    }

    /// Runs a function on the pool, and blocks this thread meanwhile.
    pub(super) fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.threads.install(f)
    }
}

pub(super) enum Started {
    Now(&'static Pool),
    Before(&'static Pool),
}

fn threads_of(config: Config) -> io::Result<ThreadPool> {
    let Config { threads, nice, .. } = config;
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .spawn_handler(move |thread| {
            let name = format!("tapio-cpu-{}", thread.index());
            let body = move || {
                // On Linux this is about the calling thread alone. Where it is
                // refused, the thread is as others.
                let _ = rustix::process::nice(nice);
                thread.run();
            };
            threads::start(name, None, body).map(drop)
        })
        .build()
        .map_err(io::Error::other)
}
