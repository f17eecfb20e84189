//! Shutting down and dropping, each in a process whose descriptors are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tapio_driver::{Direction, Driver, Interest, Limit, Place, Ready, Source, Wakes};

use crate::child::in_child;
use crate::count::{describe_descriptors, descriptors};
use crate::rig::{Bell, Line, Rig, with_rig, with_watchdog};

/// A shutdown that has to give up waits for a second.
const PROMPT: Duration = Duration::from_millis(500);

fn assert_descriptors(before: usize, when: &str) {
    let now = descriptors();
    assert_eq!(now, before, "{when}:\n{}", describe_descriptors());
}

#[test]
fn everybody_who_waits_is_told() {
    with_rig(|rig| {
        let lines: Vec<_> = (0..50).map(|_| Line::reading(rig)).collect();
        let bells: Vec<_> = lines.iter().map(|_| Bell::new()).collect();
        for (line, bell) in lines.iter().zip(&bells) {
            assert!(bell.wait(&line.source, Direction::Read).is_pending());
        }
        let (queued, mut place) = (Bell::new(), Place::default());
        let waker = queued.waker();
        let mut cx = Context::from_waker(&waker);
        let source = &lines[0].source;
        assert!(
            source
                .poll_queued(&mut cx, Interest::ERROR, &mut place)
                .is_pending()
        );
        // Some are known to the kernel, the rest is not.
        rig.settle();
        let more: Vec<_> = (0..600).map(|_| Line::reading(rig)).collect();
        let begin = Instant::now();
        rig.shut_down();
        assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
        assert_eq!(queued.rings(), 1);
        source.leave(&mut place);
        for (line, bell) in lines.iter().zip(&bells) {
            assert_eq!(bell.rings(), 1);
            assert!(matches!(
                bell.wait(&line.source, Direction::Read),
                Poll::Ready(event) if event.is_shutdown
            ));
        }
        let is_told = |line: &Line| line.source.event(Direction::Read.mask()).is_shutdown;
        assert!(more.iter().all(is_told));
        assert_eq!(rig.remote.live(), 0);
    });
}

#[test]
fn whoever_waits_afterwards_is_told() {
    with_rig(|rig| {
        let before = Line::reading(rig);
        rig.shut_down();
        let line = Line::new();
        assert!(line.source.settle(Direction::Read), "it was assumed");
        let armed = line.source.arm(|| Arc::clone(&rig.remote));
        armed.expect("that the driver is gone is told as an event");
        assert!(line.source.event(Ready::ALL).is_shutdown);
        assert_eq!(rig.remote.live(), 0);
        // All else is harmless.
        before.source.release();
        line.source.release();
        rig.remote.unpark();
        let mut wakes = Wakes::default();
        assert!(rig.driver.park(Limit::Forever, &mut wakes).is_err());
        rig.driver.shut_down(&mut wakes);
        assert!(wakes.is_empty());
    });
}

#[test]
fn descriptors_are_closed_by_shutting_down() {
    in_child("end::descriptors_are_closed_by_shutting_down", || {
        with_watchdog(|| {
            let before = descriptors();
            let mut rig = Rig::open();
            let lines: Vec<_> = (0..20).map(|_| Line::reading(&rig)).collect();
            rig.settle();
            rig.shut_down();
            // The remote and the sources live on.
            assert_descriptors(before + 2 * lines.len(), "after shutting down");
            drop(lines);
            assert_descriptors(before, "after closing the sockets");
        });
    });
}

#[test]
fn dropping_a_driver_leaks_nothing() {
    in_child("end::dropping_a_driver_leaks_nothing", || {
        with_watchdog(|| {
            let before = descriptors();
            for round in 0..20 {
                let mut rig = Rig::open();
                let bell = Bell::new();
                let lines: Vec<_> = (0..20).map(|_| Line::reading(&rig)).collect();
                if round % 2 == 0 {
                    rig.settle();
                }
                assert!(bell.wait(&lines[0].source, Direction::Read).is_pending());
                let sources: Vec<_> = lines.iter().map(|line| Arc::clone(&line.source)).collect();
                drop(rig);
                drop(lines);
                assert_eq!(bell.rings(), 1, "who waits is told");
                drop(sources);
                assert_descriptors(before, "after dropping the driver");
            }
        });
    });
}

#[test]
fn a_source_that_outlives_its_driver_keeps_no_descriptor() {
    in_child(
        "end::a_source_that_outlives_its_driver_keeps_no_descriptor",
        || {
            with_watchdog(|| {
                let before = descriptors();
                let mut rig = Rig::open();
                let line = Line::reading(&rig);
                rig.shut_down();
                drop(rig);
                assert_descriptors(before + 2, "while the socket is open");
                drop(line);
                assert_descriptors(before, "after all");
            });
        },
    );
}

#[test]
fn arrivals_do_not_delay_the_end() {
    with_rig(|rig| {
        for _ in 0..20 {
            let mut lines: Vec<_> = (0..50).map(|_| Line::reading(rig)).collect();
            rig.settle();
            // Another thread sends while this one does not enter the kernel:
            // every watch is busy when it is to be cancelled.
            let (go, sent) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(AtomicBool::new(false)),
            );
            let peer = {
                let (go, sent) = (go.clone(), sent.clone());
                thread::spawn(move || {
                    while !go.load(Ordering::Acquire) {
                        std::hint::spin_loop();
                    }
                    lines.iter().for_each(Line::send);
                    sent.store(true, Ordering::Release);
                    lines
                })
            };
            go.store(true, Ordering::Release);
            while !sent.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let begin = Instant::now();
            rig.shut_down();
            assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
            lines = peer.join().expect("the peer lives");
            for line in &mut lines {
                line.close();
                assert!(line.is_closed_for_peer(), "the kernel holds a file");
            }
            *rig = Rig::open();
        }
    });
}

#[test]
fn another_thread_may_end_it() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        let lines: Vec<_> = (0..20).map(|_| Line::reading(&rig)).collect();
        rig.settle();
        let (remote, begin) = (Arc::clone(&rig.remote), Instant::now());
        thread::spawn(move || rig.shut_down())
            .join()
            .expect("it ends");
        assert!(begin.elapsed() < PROMPT, "{:?}", begin.elapsed());
        assert_eq!(remote.live(), 0);
        for mut line in lines {
            line.close();
            assert!(line.is_closed_for_peer(), "closed at once");
        }
    });
}

#[test]
fn arming_while_it_ends_fails_or_is_told() {
    with_watchdog(|| {
        for _ in 0..30 {
            let mut rig = Rig::open();
            let remote = Arc::clone(&rig.remote);
            let arming = thread::spawn(move || {
                let mut armed = Vec::new();
                for _ in 0..100_000 {
                    let line = Line::new();
                    let _ = line.source.settle(Direction::Read);
                    let bell = Bell::new();
                    let outcome = line.source.arm(|| Arc::clone(&remote));
                    if outcome.is_err() {
                        return armed;
                    }
                    let _ = bell.wait(&line.source, Direction::Read);
                    armed.push((line, bell));
                    armed.truncate(500);
                }
                armed
            });
            rig.park_for(Duration::from_micros(200));
            rig.shut_down();
            for (line, _) in arming.join().expect("the other thread lives") {
                assert!(line.source.event(Direction::Read.mask()).is_shutdown);
            }
            assert_eq!(rig.remote.live(), 0);
        }
    });
}

/// A driver is sent to another thread, and shared by none.
#[expect(dead_code, reason = "checked by the compiler")]
fn a_driver_is_send(driver: Box<dyn Driver>, source: Arc<Source>) {
    fn is_send(_: impl Send) {}
    fn is_send_and_sync(_: impl Send + Sync) {}
    is_send_and_sync((driver.remote(), source));
    is_send(driver);
}
