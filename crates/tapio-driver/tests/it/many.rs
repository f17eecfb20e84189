//! More watches at once than one call to the kernel tells of.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tapio_driver::{Direction, Limit, Source};

use crate::rig::{Bell, Rig, arm, with_rig, with_watchdog};

/// Twenty times what one call fetches.
const COUNT: u64 = 5_000;

/// Held by each of these tests, so that they do not take the descriptors from
/// one another.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One descriptor that is watched and becomes readable when the test says so.
struct Signal {
    source: Arc<Source>,
    bell: Arc<Bell>,
    event: OwnedFd,
}

impl Signal {
    fn new() -> Signal {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let event = event.expect("an event descriptor");
        Signal {
            source: Source::new(event.as_raw_fd()),
            bell: Bell::new(),
            event,
        }
    }

    /// Waits for the next report, as a task does whose read would block.
    fn wait(&self, rig: &Rig) {
        let event = self.source.event(Direction::Read.mask());
        if self.source.clear(event, Direction::Read) {
            self.source
                .arm(|| Arc::clone(&rig.remote))
                .expect("an event descriptor can be watched");
        }
        assert!(self.bell.wait(&self.source, Direction::Read).is_pending());
    }

    fn set(&self) {
        rustix::io::write(&self.event, &1u64.to_ne_bytes()).expect("a counter counts");
    }

    fn reset(&self) {
        rustix::io::read(&self.event, &mut [0u8; 8]).expect("it was set");
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.source.release();
    }
}

/// One of `shares` equal shares of [`COUNT`], or of what the limit allows.
fn signals(shares: u64) -> Vec<Signal> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let _ = setrlimit(Resource::Nofile, raised);
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Other tests of this binary need descriptors meanwhile.
    let count = COUNT.min(room / 3) / shares;
    (0..count).map(|_| Signal::new()).collect()
}

#[test]
fn as_many_as_there_are_descriptors() {
    let _alone = alone();
    with_rig(|rig| {
        let all = signals(1);
        for round in 1..=3 {
            all.iter().for_each(|signal| signal.wait(rig));
            rig.settle();
            all.iter().for_each(Signal::set);
            // One more edge, which must not count as another report.
            all.iter().for_each(Signal::set);
            rig.park_until("all are reported", || {
                all.iter().all(|signal| signal.bell.rings() >= round)
            });
            rig.settle();
            for signal in &all {
                assert_eq!(signal.bell.rings(), round, "told once for each wait");
                signal.reset();
            }
        }
        assert_eq!(rig.remote.live(), all.len() - not_watched(&all));
        drop(all);
        rig.drain("at the end");
    });
}

fn not_watched(all: &[Signal]) -> usize {
    let is_assumed = |signal: &&Signal| signal.source.is_assumed(Direction::Read);
    all.iter().filter(is_assumed).count()
}

#[test]
fn the_last_of_many_is_reported_by_the_first_park() {
    let _alone = alone();
    with_rig(|rig| {
        let all: Vec<_> = signals(1).into_iter().take(1_000).collect();
        all.iter().for_each(|signal| signal.wait(rig));
        let last = all.last().expect("there are many");
        last.set();
        rig.park_until("the last is reported", || last.bell.rings() == 1);
        assert!(all[0].bell.rings() == 0);
    });
}

#[test]
fn armed_from_threads_while_the_owner_sleeps() {
    const THREADS: usize = 4;
    let _alone = alone();
    with_watchdog(|| {
        let mut rig = Rig::open();
        let through = Arc::new(AtomicUsize::new(0));
        let arming = (0..THREADS).map(|_| {
            let (remote, through) = (Arc::clone(&rig.remote), Arc::clone(&through));
            thread::spawn(move || {
                let some = signals(THREADS as u64);
                for Signal { source, bell, .. } in &some {
                    arm(&remote, source, Direction::Read);
                    assert!(bell.wait(source, Direction::Read).is_pending());
                }
                some.iter().for_each(Signal::set);
                through.fetch_add(1, Ordering::Release);
                remote.unpark();
                some
            })
        });
        let arming: Vec<_> = arming.collect();
        rig.park_until("all threads are through", || {
            through.load(Ordering::Acquire) == THREADS
        });
        let all: Vec<_> = arming
            .into_iter()
            .flat_map(|thread| thread.join().expect("the thread lives"))
            .collect();
        rig.park_until("all are reported", || {
            all.iter().all(|signal| signal.bell.rings() == 1)
        });
        // Released where the watches are the owner's, without one system call
        // for each: the kernel is told by the next park.
        drop(thread::spawn(move || drop(all)).join());
        rig.park(Limit::NoWait);
        rig.drain("at the end");
    });
}

#[test]
fn both_directions_of_more_than_a_queue() {
    let _alone = alone();
    with_rig(|rig| {
        let all: Vec<_> = signals(1).into_iter().take(1_500).collect();
        let writers: Vec<_> = all.iter().map(|_| Bell::new()).collect();
        for (signal, writer) in all.iter().zip(&writers) {
            for direction in Direction::BOTH {
                rig.arm(&signal.source, direction);
            }
            assert!(
                signal
                    .bell
                    .wait(&signal.source, Direction::Read)
                    .is_pending()
            );
            let _ = writer.wait(&signal.source, Direction::Write);
        }
        rig.park_until("all are writable", || {
            writers.iter().all(|bell| bell.rings() == 1)
        });
        assert!(all.iter().all(|signal| signal.bell.rings() == 0));
        all.iter().for_each(Signal::set);
        rig.park_until("all are readable", || {
            all.iter().all(|signal| signal.bell.rings() == 1)
        });
    });
}
