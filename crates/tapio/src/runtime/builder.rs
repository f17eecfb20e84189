//! Building a runtime.

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tapio_driver::{DriverKind, Options};

use super::{Handle, Runtime, UnhandledPanic};
use crate::blocking::{self, Pool};
use crate::callback;
use crate::capture;
use crate::guard::{self, Lease, Settings};
use crate::report::Report;
use crate::scheduler::{self, Config, Flavor, Hooks, Shared};

/// Tasks run between two looks at the driver while there is work, as tokio
/// has it.
const EVENT_INTERVAL: u32 = 61;
const INBOX_INTERVAL: u32 = 31;
const BLOCKING_THREADS_MAX: usize = 512;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const STALL_BUDGET: Duration = Duration::from_millis(10);
const SUBSTITUTES_MAX: usize = 512;

type Callback = Arc<dyn Fn() + Send + Sync>;

/// Builds a [`Runtime`], option by option.
///
/// # Examples
/// ```
/// let runtime = tapio::runtime::Builder::new_multi_thread()
///     .worker_threads(2)
///     .thread_name("chat")
///     .enable_all()
///     .build()?;
/// # drop(runtime);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Builder {
    flavor: Flavor,
    name: Option<String>,
    workers: Option<usize>,
    thread_name: Arc<dyn Fn() -> String + Send + Sync>,
    stack_bytes: Option<usize>,
    blocking_threads_max: usize,
    keep_alive: Duration,
    event_interval: u32,
    inbox_interval: u32,
    on_thread_start: Option<Callback>,
    on_thread_stop: Option<Callback>,
    hooks: Hooks,
    is_io_enabled: bool,
    is_time_enabled: bool,
    driver: Options,
    /// How long a poll may take; zero when nobody watches.
    stall_budget: Duration,
    stall_signal: Option<i32>,
    is_rescue_enabled: bool,
    substitutes_max: usize,
    unhandled_panic: UnhandledPanic,
}

impl Builder {
    /// Workers on threads of their own.
    #[must_use]
    pub fn new_multi_thread() -> Builder {
        Builder::new(Flavor::MultiThread)
    }

    /// Everything on the thread that blocks on the runtime.
    #[must_use]
    pub fn new_current_thread() -> Builder {
        Builder::new(Flavor::CurrentThread)
    }

    fn new(flavor: Flavor) -> Builder {
        Builder {
            flavor,
            name: None,
            workers: None,
            thread_name: Arc::new(|| "tapio-worker".into()),
            stack_bytes: None,
            blocking_threads_max: BLOCKING_THREADS_MAX,
            keep_alive: KEEP_ALIVE,
            event_interval: EVENT_INTERVAL,
            inbox_interval: INBOX_INTERVAL,
            on_thread_start: None,
            on_thread_stop: None,
            hooks: Hooks::default(),
            is_io_enabled: false,
            is_time_enabled: false,
            driver: Options::default(),
            stall_budget: STALL_BUDGET,
            stall_signal: None,
            is_rescue_enabled: flavor == Flavor::MultiThread,
            substitutes_max: SUBSTITUTES_MAX,
            unhandled_panic: UnhandledPanic::Ignore,
        }
    }

    /// Enables sockets and timers.
    pub fn enable_all(&mut self) -> &mut Self {
        self.enable_io().enable_time()
    }

    /// Enables sockets.
    pub fn enable_io(&mut self) -> &mut Self {
        self.is_io_enabled = true;
        self
    }

    /// Enables timers.
    pub fn enable_time(&mut self) -> &mut Self {
        self.is_time_enabled = true;
        self
    }

    /// How many workers a multi-threaded runtime has: one for each core
    /// unless said otherwise here or in `TOKIO_WORKER_THREADS`.
    ///
    /// # Panics
    /// When `count` is zero.
    #[track_caller]
    pub fn worker_threads(&mut self, count: usize) -> &mut Self {
        assert!(count > 0, "Worker threads cannot be set to 0");
        self.workers = Some(count);
        self
    }

    /// How many threads may serve blocking calls (512).
    ///
    /// # Panics
    /// When `count` is zero.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, count: usize) -> &mut Self {
        assert!(count > 0, "Max blocking threads cannot be set to 0");
        self.blocking_threads_max = count;
        self
    }

    /// The name of every thread that the runtime starts.
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        self.thread_name = Arc::new(move || name.clone());
        self
    }

    /// What the runtime is called, for [`Handle::name`].
    ///
    /// # Panics
    /// When `name` is blank.
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        assert!(!name.trim().is_empty(), "runtime name shouldn't be empty");
        self.name = Some(name);
        self
    }

    /// A function that names every thread that the runtime starts.
    pub fn thread_name_fn<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.thread_name = Arc::new(f);
        self
    }

    /// The stack of every thread that the runtime starts, in bytes.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.stack_bytes = Some(bytes);
        self
    }

    /// How long a thread for blocking calls stays when there is none (10 s).
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.keep_alive = duration;
        self
    }

    /// Called on every thread that the runtime starts, before its work. That
    /// includes threads for blocking calls, and those that stand by for stuck
    /// workers ([`max_substitutes`](Builder::max_substitutes)).
    ///
    /// If it panics, as with the three that follow, the panic is reported
    /// ([`CallbackPanic`](guard::CallbackPanic)) and the thread goes on.
    #[track_caller]
    pub fn on_thread_start<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        let given_at = Location::caller();
        self.on_thread_start = Some(callback::hook("Builder::on_thread_start", given_at, f));
        self
    }

    /// Called on every thread that the runtime starts, after its work.
    #[track_caller]
    pub fn on_thread_stop<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        let given_at = Location::caller();
        self.on_thread_stop = Some(callback::hook("Builder::on_thread_stop", given_at, f));
        self
    }

    /// Called on a worker before it sleeps.
    #[track_caller]
    pub fn on_thread_park<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        let given_at = Location::caller();
        self.hooks.before_park = Some(callback::hook("Builder::on_thread_park", given_at, f));
        self
    }

    /// Called on a worker after it has slept.
    #[track_caller]
    pub fn on_thread_unpark<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        let given_at = Location::caller();
        self.hooks.after_unpark = Some(callback::hook("Builder::on_thread_unpark", given_at, f));
        self
    }

    /// Tasks run between two looks at the driver while there is work (61).
    ///
    /// # Panics
    /// When `ticks` is zero.
    #[track_caller]
    pub fn event_interval(&mut self, ticks: u32) -> &mut Self {
        assert!(ticks > 0, "event_interval must be greater than 0");
        self.event_interval = ticks;
        self
    }

    /// Tasks run between two looks at tasks that came from other threads (31).
    ///
    /// # Panics
    /// When `ticks` is zero.
    #[track_caller]
    pub fn global_queue_interval(&mut self, ticks: u32) -> &mut Self {
        assert!(ticks > 0, "global_queue_interval must be greater than 0");
        self.inbox_interval = ticks;
        self
    }

    /// How many readiness events a worker takes in at once. Taken for tokio's
    /// sake and checked, no more: a driver here takes in all there are, of
    /// which there can be no more than fit its ring.
    ///
    /// # Panics
    /// When `capacity` is zero.
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, capacity: usize) -> &mut Self {
        assert!(capacity > 0, "max_io_events_per_tick must be non-zero");
        self
    }

    /// As [`Builder::max_io_events_per_tick`], for looks at the driver while
    /// there is work.
    ///
    /// # Panics
    /// When `capacity` is zero.
    #[track_caller]
    pub fn max_io_events_per_busy_tick(&mut self, capacity: usize) -> &mut Self {
        assert!(capacity > 0, "max_io_events_per_busy_tick must be non-zero");
        self
    }

    /// Whether operations, such as those on files, may use `io_uring`;
    /// `TAPIO_DRIVER=ring|poll` decides when this does not. Sockets are watched
    /// by `epoll` either way. A ring is made when the first operation needs it;
    /// one that is refused is done without, and one log line says why.
    pub fn driver(&mut self, kind: DriverKind) -> &mut Self {
        self.driver.prefer = Some(kind);
        self
    }

    /// How long a poll may take before the guard calls it a stall, reports it
    /// and rescues the other tasks (10 ms). Zero: nobody watches.
    ///
    /// `TAPIO_STALL_MS`, in milliseconds, decides when it is set.
    pub fn stall_budget(&mut self, budget: Duration) -> &mut Self {
        self.stall_budget = budget;
        self
    }

    /// The signal that has a thread which computes copy its stack for the
    /// report (`SIGURG`, which does nothing by itself). One inside a system
    /// call never gets it. A handler that was there
    /// before is called for signals that are not the guard's;
    /// `TAPIO_STALL_SIGNAL` decides when it is set.
    pub fn stall_signal(&mut self, signal: i32) -> &mut Self {
        self.stall_signal = Some(signal);
        self
    }

    /// Whether another thread goes on with the other tasks of a stuck one: as
    /// it is on a multi-threaded runtime, unless switched off. On a
    /// `current_thread` runtime, whose users asked for one thread, it must be
    /// switched on: then tasks may run on another thread while one is stuck.
    pub fn rescue(&mut self, is_enabled: bool) -> &mut Self {
        self.is_rescue_enabled = is_enabled;
        self
    }

    /// How many threads may stand in for blocked workers at a time (512):
    /// after a stall, and for `block_in_place`.
    ///
    /// One for each worker, four at the most, is there from the start where
    /// [`rescue`](Builder::rescue) is on, and sleeps: to take a stuck worker's
    /// place it needs nothing that the stuck task may keep from it, such as the
    /// kernel's lock on the memory map.
    pub fn max_substitutes(&mut self, count: usize) -> &mut Self {
        self.substitutes_max = count;
        self
    }

    /// What a panic in a spawned task does to the runtime.
    /// [`UnhandledPanic`] says what there is; by default it does nothing, and
    /// the task's handle tells of it.
    ///
    /// # Examples
    /// ```should_panic
    /// use tapio::runtime::{Builder, UnhandledPanic};
    ///
    /// let runtime = Builder::new_multi_thread()
    ///     .unhandled_panic(UnhandledPanic::ShutdownRuntime)
    ///     .build()
    ///     .unwrap();
    /// runtime.block_on(async {
    ///     tapio::spawn(async { panic!("boom") });
    ///     std::future::pending::<()>().await
    /// });
    /// ```
    pub fn unhandled_panic(&mut self, behavior: UnhandledPanic) -> &mut Self {
        self.unhandled_panic = behavior;
        self
    }

    /// Builds the runtime.
    ///
    /// # Errors
    /// When threads, descriptors or memory are not to be had, or an
    /// environment variable that this runtime reads makes no sense.
    pub fn build(&mut self) -> io::Result<Runtime> {
        let mut driver = self.driver.clone();
        driver.read_environment()?;
        let seats = match self.flavor {
            Flavor::CurrentThread => 1,
            Flavor::MultiThread => self.workers.map_or_else(default_workers, Ok)?,
        };
        if seats > scheduler::SEATS_MAX {
            let message = format!(
                "worker_threads ({seats}) is more than {}",
                scheduler::SEATS_MAX
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let guard = self.guard_settings()?;
        if let Some(settings) = guard {
            capture::install(settings.signal)?;
        }
        let handle_cell = Arc::new(std::sync::OnceLock::<std::sync::Weak<Shared>>::new());
        let pool = Pool::new(self.pool_config(&handle_cell));
        let shared = Shared::new(
            Config {
                name: self.name.clone(),
                flavor: self.flavor,
                seats,
                driver,
                hooks: self.hooks.clone(),
                event_interval: self.event_interval,
                inbox_interval: self.inbox_interval,
                substitutes_max: self.substitutes_max,
                guard,
                is_rescue_enabled: self.is_rescue_enabled,
                has_start_hook: self.on_thread_start.is_some(),
                ends_on_panic: self.unhandled_panic == UnhandledPanic::ShutdownRuntime,
                is_io_enabled: self.is_io_enabled,
                is_time_enabled: self.is_time_enabled,
            },
            pool,
        )?;
        handle_cell
            .set(Arc::downgrade(&shared))
            .expect("set once, here");
        // From here on dropping the runtime ends what was started.
        let lease = guard.map(|_| Lease::new());
        let runtime = Runtime::new_leased(Handle { shared }, lease);
        if self.flavor == Flavor::MultiThread {
            scheduler::start_workers(&runtime.handle().shared)?;
        }
        if let Some(limit) = runtime.handle().shared.replenish() {
            Report::Limit(limit).deliver();
        }
        Ok(runtime)
    }

    /// How to watch; `None` for not at all.
    fn guard_settings(&self) -> io::Result<Option<Settings>> {
        let budget = match environment("TAPIO_STALL_MS", "a number of milliseconds")? {
            Some(ms) => Duration::from_millis(ms),
            None => self.stall_budget,
        };
        let signal = match environment("TAPIO_STALL_SIGNAL", "the number of a signal")? {
            Some(signal) => signal,
            None => self.stall_signal.unwrap_or(capture::DEFAULT_SIGNAL),
        };
        if environment("TAPIO_ADVICE", "0 or 1")? == Some(1_u8) {
            guard::ask_for_advice();
        }
        Ok((!budget.is_zero()).then_some(Settings { budget, signal }))
    }

    fn pool_config(
        &self,
        shared: &Arc<std::sync::OnceLock<std::sync::Weak<Shared>>>,
    ) -> blocking::Config {
        let shared = Arc::clone(shared);
        let (start, stop) = (self.on_thread_start.clone(), self.on_thread_stop.clone());
        blocking::Config {
            thread_name: Arc::clone(&self.thread_name),
            stack_bytes: self.stack_bytes,
            threads_max: self.blocking_threads_max,
            keep_alive: self.keep_alive,
            counters: Arc::default(),
            thread_body: Arc::new(move |body| {
                // Every thread is inside its runtime.
                let handle = shared.get().and_then(std::sync::Weak::upgrade);
                let handle = handle.map(|shared| Handle { shared });
                let _entered = handle.as_ref().map(Handle::enter);
                let _beside = handle.as_ref().map(|handle| handle.shared.compat.enter());
                let shared = handle.as_ref().map(|handle| &handle.shared);
                match (&start, shared) {
                    (Some(start), Some(shared)) => shared.call_start_hook(&**start),
                    (Some(start), None) => start(),
                    (None, _) => {}
                }
                body();
                match (&stop, shared) {
                    (Some(stop), Some(shared)) => shared.call_stop_hook(&**stop),
                    (Some(stop), None) => stop(),
                    (None, _) => {}
                }
            }),
        }
    }
}

fn default_workers() -> io::Result<usize> {
    let count = environment::<std::num::NonZeroUsize>("TOKIO_WORKER_THREADS", "a positive number")?;
    Ok(count.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    ))
}

/// What an environment variable says, if it is set.
fn environment<T: std::str::FromStr>(name: &str, what: &str) -> io::Result<Option<T>> {
    let Ok(text) = std::env::var(name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let message = format!("{name}={text:?} is not {what}");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("flavor", &self.flavor)
            .field("worker_threads", &self.workers)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
