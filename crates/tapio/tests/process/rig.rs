//! Runtimes to test, and a little work that shows whether one is sound.

use std::fmt;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::thread::ClockId;
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};
use tapio::runtime::{Builder, DriverKind, Runtime};

pub(crate) const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A way to build a runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) driver: DriverKind,
    /// `None` for `current_thread`.
    pub(crate) workers: Option<usize>,
}

impl Kind {
    /// Both flavours on both drivers; `TAPIO_DRIVER` leaves those of one.
    pub(crate) fn all() -> Vec<Kind> {
        let only = std::env::var("TAPIO_DRIVER").ok();
        [DriverKind::Ring, DriverKind::Poll]
            .into_iter()
            .filter(|driver| only.as_deref().is_none_or(|only| only == driver.name()))
            .flat_map(|driver| [None, Some(2)].map(|workers| Kind { driver, workers }))
            .collect()
    }

    pub(crate) fn builder(self) -> Builder {
        let mut builder = match self.workers {
            None => Builder::new_current_thread(),
            Some(count) => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(count);
                builder
            }
        };
        builder.driver(self.driver).enable_all();
        builder
    }

    pub(crate) fn build(self) -> Runtime {
        let built = self.builder().build();
        built.unwrap_or_else(|error| panic!("{self}: {error}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.workers {
            None => write!(f, "{}, current_thread", self.driver),
            Some(count) => write!(f, "{}, multi_thread({count})", self.driver),
        }
    }
}

/// A runtime that rescues: `current_thread` must ask for it.
pub(crate) fn build_rescuing(kind: Kind) -> Runtime {
    let built = kind.builder().rescue(true).build();
    built.unwrap_or_else(|error| panic!("{kind}: {error}"))
}

/// Waits for a state, for so long that only a failure takes longer.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until no thread comes any more.
pub(crate) fn settle() {
    let mut before = 0;
    wait_for("threads come and come", || {
        std::thread::sleep(Duration::from_millis(50));
        let list = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
        let now = list.count();
        std::mem::replace(&mut before, now) == now
    });
}

/// Ticks every millisecond on a runtime, and knows the longest time without.
#[derive(Clone, Default)]
pub(crate) struct Ticker(Arc<Ticks>);

#[derive(Default)]
struct Ticks {
    last: Mutex<Option<Instant>>,
    worst: Mutex<Duration>,
    is_over: AtomicBool,
}

impl Ticker {
    /// Ticks from now on.
    pub(crate) fn start(runtime: &Runtime) -> Ticker {
        let ticker = Ticker::default();
        let own = ticker.clone();
        runtime.spawn(async move {
            while !own.0.is_over.load(Ordering::Relaxed) {
                tapio::time::sleep(Duration::from_millis(1)).await;
                own.tick();
            }
        });
        ticker
    }

    fn tick(&self) {
        let now = Instant::now();
        let before = self.0.last.lock().expect("nobody panics").replace(now);
        let mut worst = self.0.worst.lock().expect("nobody panics");
        *worst = worst.max(before.map_or(Duration::ZERO, |before| now - before));
    }

    /// The longest time without a tick while `f` runs, and how long that took.
    pub(crate) fn worst_during(&self, f: impl FnOnce()) -> (Duration, Duration) {
        let begin = Instant::now();
        // What came before does not count.
        *self.0.last.lock().expect("nobody panics") = Some(begin);
        *self.0.worst.lock().expect("nobody panics") = Duration::ZERO;
        f();
        let taken = begin.elapsed();
        self.tick();
        let worst = *self.0.worst.lock().expect("nobody panics");
        (worst, taken)
    }

    pub(crate) fn stop(&self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Blocks a worker until it is rescued, a few times: afterwards all that a
/// rescue needs has been there once, and threads stand by.
pub(crate) fn rescue_a_few_times(runtime: &Runtime) {
    let metrics = runtime.metrics();
    for _ in 0..4 {
        let (metrics, before) = (metrics.clone(), metrics.num_rescues());
        let stuck = runtime.spawn(async move {
            while metrics.num_rescues() == before {
                std::thread::sleep(Duration::from_millis(60));
            }
        });
        runtime.block_on(stuck).expect("it is rescued from");
    }
}

/// Echoes over TCP and sleeps, on tasks: what any program needs.
pub(crate) fn assert_works(runtime: &Runtime) {
    runtime.block_on(async {
        let listener = TcpListener::bind(LOCAL).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tapio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("all of it");
            stream.write_all(&bytes).await.expect("and back");
        });
        let mut stream = TcpStream::connect(address).await.expect("a listener");
        stream.write_all(b"hello").await.expect("a connection");
        let begin = Instant::now();
        tapio::time::sleep(Duration::from_millis(3)).await;
        assert!(begin.elapsed() >= Duration::from_millis(3));
        stream.shutdown().await.expect("a connection");
        let mut echo = String::new();
        stream.read_to_string(&mut echo).await.expect("the echo");
        assert_eq!(echo, "hello");
        server.await.expect("the server ends");
    });
}

/// What this thread has used of a CPU.
pub(crate) fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Uses so much of a CPU.
pub(crate) fn compute(time: Duration) {
    let begin = cpu_time();
    while black_box(cpu_time()) - begin < time {}
}
