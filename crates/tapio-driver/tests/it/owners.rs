//! Drivers change hands, and several serve one thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use tapio_driver::{Direction, Limit, Wakes};

use crate::rig::{Bell, Line, PATIENCE, Rig, with_rig, with_watchdog};

#[test]
fn two_drivers_in_one_thread_keep_apart() {
    with_watchdog(|| {
        let mut rigs = [Rig::open(), Rig::open()];
        let lines = [0, 1].map(|index: usize| Line::reading(&rigs[index]));
        let bells = [0, 1].map(|index: usize| {
            let bell = Bell::new();
            assert!(
                bell.wait(&lines[index].source, Direction::Read)
                    .is_pending()
            );
            bell
        });
        rigs.iter_mut().for_each(Rig::settle);
        lines[1].send();
        rigs[0].settle();
        assert_eq!(bells[1].rings(), 0, "it is the other driver's");
        rigs[1].park(Limit::Forever);
        assert_eq!([bells[0].rings(), bells[1].rings()], [0, 1]);
        rigs[0].remote.unpark();
        rigs[0].park(Limit::Forever);
        rigs[0].shut_down();
        assert!(!lines[1].source.event(Direction::Read.mask()).is_shutdown);
        lines[1].take();
        lines[1].send();
        rigs[1].park(Limit::Forever);
    });
}

#[test]
fn each_park_on_another_thread() {
    with_rig(|rig| {
        let line = Line::new();
        let bell = Bell::new();
        for round in 1..=20 {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let event = line.source.event(Direction::Read.mask());
                    if line.source.clear(event, Direction::Read) {
                        let remote = || Arc::clone(&rig.remote);
                        line.source.arm(remote).expect("a socket");
                    }
                    if bell.wait(&line.source, Direction::Read).is_pending() {
                        rig.settle();
                    }
                });
            });
            line.send();
            rig.park_until("the byte is reported", || line.is_ready(Direction::Read));
            assert!(bell.rings() >= round, "round {round}");
            line.take();
        }
    });
}

#[test]
fn an_owner_that_has_ended_leaves_nothing_behind() {
    with_rig(|rig| {
        let mut line = Line::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                rig.arm(&line.source, Direction::Read);
                rig.settle();
            });
        });
        line.close();
        rig.drain("at the end");
        assert!(line.is_closed_for_peer(), "closed at once");
        // The alarm works for the new owner.
        let remote = Arc::clone(&rig.remote);
        let other = thread::spawn(move || remote.unpark());
        rig.park(Limit::Forever);
        other.join().expect("the other thread lives");
    });
}

/// What a former owner is busy with.
#[derive(Clone, Copy, Debug)]
enum Busy {
    Computing,
    Blocked,
}

#[test]
fn a_former_owner_that_lives_on_keeps_nothing_back() {
    with_watchdog(|| {
        for busy in [Busy::Computing, Busy::Blocked] {
            let go_on = Arc::new(AtomicBool::new(false));
            let (give, take) = mpsc::channel();
            let former = thread::spawn({
                let go_on = Arc::clone(&go_on);
                move || {
                    let mut rig = Rig::open();
                    let line = Line::reading(&rig);
                    rig.settle();
                    give.send((rig, line)).expect("somebody takes over");
                    while !go_on.load(Ordering::Acquire) {
                        match busy {
                            Busy::Computing => std::hint::spin_loop(),
                            Busy::Blocked => thread::park(),
                        }
                    }
                }
            });
            let (mut rig, mut line) = take.recv().expect("the former owner hands over");
            for _ in 0..5 {
                line.send();
                rig.park_until("a byte is reported", || line.is_ready(Direction::Read));
                let event = line.take();
                let _ = line.source.clear(event, Direction::Read);
                unpark_from_elsewhere(&mut rig);
            }
            line.close();
            rig.settle();
            assert!(line.is_closed_for_peer(), "closed at once");
            rig.shut_down();
            assert_eq!(rig.remote.live(), 0);
            go_on.store(true, Ordering::Release);
            former.thread().unpark();
            former.join().expect("the former owner lives");
        }
    });
}

fn unpark_from_elsewhere(rig: &mut Rig) {
    let (is_called, remote) = (AtomicBool::new(false), Arc::clone(&rig.remote));
    thread::scope(|scope| {
        scope.spawn(|| {
            is_called.store(true, Ordering::Release);
            remote.unpark();
        });
        let limit = Limit::Until(Instant::now() + PATIENCE);
        while !is_called.load(Ordering::Acquire) {
            rig.driver
                .park(limit, &mut Wakes::default())
                .expect("a park succeeds");
        }
    });
}
