//! A driver under test, and lines to watch with it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tapio_driver::{Direction, Driver, Event, Limit, Remote, Source, Wakes, open};

use crate::child::BEGINNING;

/// Far longer than anything here takes, and short enough to wait for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test on a thread of its own, and ends the process when it hangs.
pub(crate) fn with_watchdog(test: impl FnOnce() + Send) {
    let _no_child = BEGINNING.read();
    let _hang = Watchdog::start();
    let outcome = thread::scope(|scope| scope.spawn(test).join());
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

/// [`with_watchdog`], with an open driver.
pub(crate) fn with_rig(test: impl FnOnce(&mut Rig) + Send) {
    with_watchdog(|| test(&mut Rig::open()));
}

/// Says that a test, or a part of it, cannot run here.
pub(crate) fn log_skip(name: &str, why: &str) {
    if let Some(path) = std::env::var_os("TAPIO_SKIP_LOG") {
        let log = File::options().append(true).create(true).open(path);
        let written = log.and_then(|mut log| writeln!(log, "{name}: {why}"));
        written.expect("the log of skipped tests can be written");
    }
}

/// Ends the process when a test hangs, which a lost wake-up looks like.
struct Watchdog(Arc<AtomicBool>);

impl Watchdog {
    fn start() -> Watchdog {
        let is_done = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&is_done);
        let test = thread::current();
        thread::spawn(move || {
            let limit = Instant::now() + 6 * PATIENCE;
            while !watched.load(Ordering::Relaxed) {
                thread::park_timeout(Duration::from_millis(100));
                if Instant::now() > limit {
                    let name = test.name().unwrap_or("a test");
                    eprintln!("{name} hangs");
                    std::process::abort();
                }
            }
        });
        Watchdog(is_done)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A driver with its owner's bookkeeping.
pub(crate) struct Rig {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) remote: Arc<dyn Remote>,
    wakes: Wakes,
}

impl Rig {
    pub(crate) fn open() -> Rig {
        let driver = open().expect("a driver opens");
        Rig {
            remote: driver.remote(),
            driver,
            wakes: Wakes::default(),
        }
    }

    /// Parks once, and wakes whoever is to be woken. Says how many they were.
    pub(crate) fn park(&mut self, limit: Limit) -> usize {
        self.driver
            .park(limit, &mut self.wakes)
            .expect("a park succeeds");
        let woken = self.wakes.len();
        self.wakes.wake_all();
        woken
    }

    pub(crate) fn park_for(&mut self, duration: Duration) -> usize {
        self.park(Limit::Until(Instant::now() + duration))
    }

    /// Parks until `is_met`; fails after [`PATIENCE`].
    pub(crate) fn park_until(&mut self, what: &str, mut is_met: impl FnMut() -> bool) {
        let limit = Instant::now() + PATIENCE;
        while !is_met() {
            assert!(Instant::now() < limit, "waited in vain until {what}");
            self.park(Limit::Until(limit));
        }
    }

    /// Parks without waiting until nothing more comes of it.
    pub(crate) fn settle(&mut self) {
        for _ in 0..3 {
            while self.park(Limit::NoWait) > 0 {}
        }
    }

    /// Parks without waiting until the kernel has let go of all that was
    /// released.
    pub(crate) fn drain(&mut self, when: &str) {
        let limit = Instant::now() + PATIENCE;
        while self.remote.live() > 0 {
            let live = self.remote.live();
            assert!(Instant::now() < limit, "{live} watches are left {when}");
            self.park(Limit::NoWait);
        }
    }

    pub(crate) fn shut_down(&mut self) {
        self.driver.shut_down(&mut self.wakes);
        self.wakes.wake_all();
    }

    /// Has `source` watched, as a first attempt that would block does.
    pub(crate) fn arm(&self, source: &Arc<Source>, direction: Direction) {
        arm(&self.remote, source, direction);
    }
}

pub(crate) fn arm(remote: &Arc<dyn Remote>, source: &Arc<Source>, direction: Direction) {
    if source.settle(direction) {
        source
            .arm(|| Arc::clone(remote))
            .expect("a socket can be watched");
    }
}

/// A socket pair: the near end is watched, the far end belongs to the test.
pub(crate) struct Line {
    pub(crate) source: Arc<Source>,
    pub(crate) near: Option<UnixStream>,
    pub(crate) far: UnixStream,
}

impl Line {
    pub(crate) fn new() -> Line {
        let (near, far) = UnixStream::pair().expect("a socket pair");
        for end in [&near, &far] {
            end.set_nonblocking(true).expect("a mode of a socket");
        }
        Line {
            source: Source::new(near.as_raw_fd()),
            near: Some(near),
            far,
        }
    }

    /// A line whose reading end the driver watches.
    pub(crate) fn reading(rig: &Rig) -> Line {
        let line = Line::new();
        rig.arm(&line.source, Direction::Read);
        line
    }

    pub(crate) fn near(&self) -> &UnixStream {
        self.near.as_ref().expect("open until closed")
    }

    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        is_ready(&self.source, direction)
    }

    /// Sends one byte to the watched end.
    pub(crate) fn send(&self) {
        assert_eq!((&self.far).write(b"x").expect("the line takes a byte"), 1);
    }

    /// Takes one byte that was sent, and says that no more is there.
    pub(crate) fn take(&self) -> Event {
        let event = self.source.event(Direction::Read.mask());
        assert_eq!(self.near().read(&mut [0; 2]).expect("a byte is there"), 1);
        event
    }

    /// Ends the watch and closes the watched end.
    pub(crate) fn close(&mut self) {
        self.source.release();
        self.near = None;
    }

    /// Whether the far end has learned that the watched end is closed.
    pub(crate) fn is_closed_for_peer(&self) -> bool {
        match (&self.far).read(&mut [0; 64]) {
            Ok(0) => true,
            Ok(_) => false,
            // What the peer sent and nobody read was lost with the end.
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.source.release();
    }
}

pub(crate) fn is_ready(source: &Source, direction: Direction) -> bool {
    !source.event(direction.mask()).ready.is_empty()
}

/// A waker that counts how often it rang.
#[derive(Default)]
pub(crate) struct Bell(AtomicUsize);

impl Bell {
    pub(crate) fn new() -> Arc<Bell> {
        Arc::default()
    }

    pub(crate) fn rings(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Polls `source` as a task in a read or write does.
    pub(crate) fn wait(self: &Arc<Self>, source: &Source, direction: Direction) -> Poll<Event> {
        source.poll_ready(&mut Context::from_waker(&self.waker()), direction)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Release pairs with the acquire in `rings`.
        self.0.fetch_add(1, Ordering::Release);
    }
}
