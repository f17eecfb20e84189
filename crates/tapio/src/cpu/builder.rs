//! How the pool is started by hand.

use std::error::Error;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;

use super::pool::{Config, Pool, Started};

/// Calls in line at most, unless said otherwise.
const QUEUE_MAX: usize = 1024;
/// A share of a core a third as large as a worker's that wants it too, and
/// the worker is woken before it.
const NICE: i32 = 5;

/// Starts the pool with other settings than its own, before anything is
/// handed to it.
///
/// # Examples
/// ```
/// tapio::cpu::Builder::new().threads(2).cpu_queue_max(64).start()?;
/// assert_eq!(tapio::cpu::metrics().threads, 2);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    threads: Option<usize>,
    queue_max: usize,
    nice: i32,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The settings that the pool has by itself.
    #[must_use]
    pub fn new() -> Builder {
        Builder {
            threads: None,
            queue_max: QUEUE_MAX,
            nice: NICE,
        }
    }

    /// How many threads there are: one for each core, unless said otherwise
    /// here or in `TAPIO_CPU_THREADS`.
    ///
    /// # Panics
    /// When `count` is zero.
    #[track_caller]
    pub fn threads(&mut self, count: usize) -> &mut Builder {
        assert!(count > 0, "a pool without threads never computes");
        self.threads = Some(count);
        self
    }

    /// How many calls may be in line for a thread (1024).
    ///
    /// # Panics
    /// When `count` is zero.
    #[track_caller]
    pub fn cpu_queue_max(&mut self, count: usize) -> &mut Builder {
        assert!(count > 0, "a queue without places takes no call");
        self.queue_max = count.min(tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// How much nicer the threads are than the one that starts them (5): from
    /// 0, which makes them like any other, to 19. Where all cores compute, a
    /// thread with `nice` 5 gets a quarter of a core that a worker wants too.
    pub fn nice(&mut self, nice: u8) -> &mut Builder {
        self.nice = i32::from(nice.min(19));
        self
    }

    /// Starts the pool.
    ///
    /// # Errors
    /// [`AlreadyStarted`], in an [`io::Error`] of kind `AlreadyExists`, when
    /// it was, by this or by the first call handed to it; or when the system
    /// gives no thread, or `TAPIO_CPU_THREADS` is no number.
    pub fn start(&self) -> io::Result<()> {
        match Pool::start(|| self.config())? {
            Started::Now(_) => Ok(()),
            Started::Before(_) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                AlreadyStarted(()),
            )),
        }
    }

    fn config(&self) -> io::Result<Config> {
        let threads = match self.threads {
            Some(count) => count,
            None => default_threads()?,
        };
        Ok(Config {
            threads,
            queue_max: self.queue_max,
            nice: self.nice,
        })
    }
}

/// The pool, started with its own settings unless it was with others.
#[track_caller]
pub(super) fn pool() -> &'static Pool {
    if let Some(pool) = Pool::started() {
        return pool;
    }
    match Pool::start(|| Builder::new().config()) {
        Ok(Started::Now(pool) | Started::Before(pool)) => pool,
        Err(error) => panic!("the threads of `tapio::cpu` cannot be started: {error}"),
    }
}

fn default_threads() -> io::Result<usize> {
    let Ok(text) = std::env::var("TAPIO_CPU_THREADS") else {
        return Ok(std::thread::available_parallelism().map_or(1, usize::from));
    };
    let count: Result<NonZeroUsize, _> = text.parse();
    count.map(usize::from).map_err(|_| {
        let message = format!("TAPIO_CPU_THREADS={text:?} is not a positive number");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

/// The pool of [`cpu`](crate::cpu) had been started.
#[derive(Debug)]
pub struct AlreadyStarted(());

impl fmt::Display for AlreadyStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the threads of `tapio::cpu` have been started\n  help: call \
             `cpu::Builder::start` first thing in `main`, once",
        )
    }
}

impl Error for AlreadyStarted {}
