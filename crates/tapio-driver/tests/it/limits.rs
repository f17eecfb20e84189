//! How long a park lasts, and what ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tapio_driver::{Limit, Remote};

use crate::rig::{PATIENCE, Rig, with_watchdog};

/// A machine that is busy with other tests delays a wake by this much at worst.
const LATE: Duration = Duration::from_secs(2);

#[test]
fn a_deadline_is_kept() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        for micros in [0, 50, 300, 1_000, 1_500, 20_000, 60_000] {
            let begin = Instant::now();
            let moment = begin + Duration::from_micros(micros);
            rig.park(Limit::Until(moment));
            let end = Instant::now();
            assert!(end >= moment, "{micros} µs: {:?} too early", moment - end);
            assert!(end < moment + LATE, "{micros} µs: {:?} late", end - moment);
        }
    });
}

#[test]
fn a_deadline_that_has_passed_does_not_sleep() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        let begin = Instant::now();
        for _ in 0..100 {
            rig.park(Limit::Until(begin));
        }
        assert!(begin.elapsed() < LATE);
    });
}

#[test]
fn a_deadline_beyond_the_kernels_reach_still_sleeps() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        // 2^63 ns are 292 years, 2^31 ms are 25 days.
        for years in [1, 280, 300, 10_000_000] {
            let begin = Instant::now();
            let waker = wake_after(&rig.remote, Duration::from_millis(20));
            let far = begin + Duration::from_secs(years * 365 * 86_400);
            rig.park(Limit::Until(far));
            assert!(
                begin.elapsed() >= Duration::from_millis(20),
                "{years} years"
            );
            waker.join().expect("the waker lives");
            rig.settle();
        }
    });
}

#[test]
fn not_waiting_does_not_sleep() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        let begin = Instant::now();
        for _ in 0..1_000 {
            assert_eq!(rig.park(Limit::NoWait), 0);
        }
        assert!(begin.elapsed() < LATE);
    });
}

#[test]
fn an_unpark_before_a_park_ends_it_at_once() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        for _ in 0..100 {
            rig.remote.unpark();
            rig.park(Limit::Forever);
        }
        rig.remote.unpark();
        let begin = Instant::now();
        rig.park_for(PATIENCE);
        assert!(begin.elapsed() < LATE);
    });
}

#[test]
fn many_unparks_count_as_one() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        let others: Vec<_> = (0..4)
            .map(|_| {
                let remote = Arc::clone(&rig.remote);
                thread::spawn(move || (0..1_000).for_each(|_| remote.unpark()))
            })
            .collect();
        for other in others {
            other.join().expect("the other thread lives");
        }
        rig.park(Limit::Forever);
        let begin = Instant::now();
        rig.park_for(Duration::from_millis(30));
        assert!(
            begin.elapsed() >= Duration::from_millis(30),
            "an unpark was left"
        );
    });
}

#[test]
fn an_unpark_during_a_park_ends_it() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        for _ in 0..20 {
            let waker = wake_after(&rig.remote, Duration::from_millis(1));
            rig.park(Limit::Forever);
            waker.join().expect("the waker lives");
        }
    });
}

#[test]
fn no_unpark_is_lost_however_it_falls() {
    const ROUNDS: usize = 20_000;
    with_watchdog(|| {
        let mut rig = Rig::open();
        let (asked, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let other = {
            let (remote, asked, seen) = (Arc::clone(&rig.remote), asked.clone(), seen.clone());
            thread::spawn(move || {
                for round in 1..=ROUNDS {
                    asked.store(round, Ordering::Release);
                    remote.unpark();
                    while seen.load(Ordering::Acquire) < round {
                        std::hint::spin_loop();
                    }
                }
            })
        };
        let mut done = 0;
        while done < ROUNDS {
            let now = asked.load(Ordering::Acquire);
            if now == done {
                // A lost wake-up sleeps here until the watchdog barks.
                rig.park(Limit::Forever);
                continue;
            }
            done = now;
            seen.store(done, Ordering::Release);
        }
        other.join().expect("the other thread lives");
    });
}

#[test]
fn a_look_at_the_driver_loses_no_unpark() {
    // What an unpark announces is published before it, so a park without
    // waiting may use the unpark up: its caller looks afterwards anyway.
    with_watchdog(|| {
        let mut rig = Rig::open();
        let flag = Arc::new(AtomicBool::new(false));
        for _ in 0..200 {
            flag.store(false, Ordering::Relaxed);
            let (remote, set) = (Arc::clone(&rig.remote), Arc::clone(&flag));
            let other = thread::spawn(move || {
                set.store(true, Ordering::Relaxed);
                remote.unpark();
            });
            loop {
                rig.park(Limit::NoWait);
                if flag.load(Ordering::Relaxed) {
                    break;
                }
                rig.park(Limit::Forever);
                if flag.load(Ordering::Relaxed) {
                    break;
                }
            }
            other.join().expect("the other thread lives");
        }
    });
}

fn wake_after(remote: &Arc<dyn Remote>, delay: Duration) -> thread::JoinHandle<()> {
    let remote = Arc::clone(remote);
    thread::spawn(move || {
        thread::sleep(delay);
        remote.unpark();
    })
}
