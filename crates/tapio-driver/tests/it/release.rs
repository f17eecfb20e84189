//! After a release the descriptor may be closed and its number used anew.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tapio_driver::{Direction, Source};

use crate::rig::{Bell, Line, PATIENCE, Rig, arm, with_rig, with_watchdog};

/// How far the driver got with a line when it is closed.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The kernel was not told yet.
    Asked,
    Watched,
    /// The kernel has something to report, which nobody fetched.
    Arrived,
    Reported,
}

const STAGES: [Stage; 4] = [
    Stage::Asked,
    Stage::Watched,
    Stage::Arrived,
    Stage::Reported,
];

fn line_at(rig: &mut Rig, stage: Stage) -> Line {
    let line = Line::new();
    for direction in Direction::BOTH {
        rig.arm(&line.source, direction);
    }
    if !matches!(stage, Stage::Asked) {
        rig.settle();
    }
    if matches!(stage, Stage::Arrived | Stage::Reported) {
        line.send();
    }
    if matches!(stage, Stage::Reported) {
        rig.park_until("it is reported", || line.is_ready(Direction::Read));
    }
    line
}

#[test]
fn closing_on_the_owners_thread_is_immediate() {
    with_rig(|rig| {
        for stage in STAGES {
            for _ in 0..50 {
                let mut line = line_at(rig, stage);
                line.close();
                assert!(line.is_closed_for_peer(), "{stage:?}");
            }
            rig.drain(&format!("{stage:?}"));
        }
    });
}

#[test]
fn data_that_arrives_while_the_owner_computes_delays_no_close() {
    with_rig(|rig| {
        for _ in 0..300 {
            let mut line = Line::reading(rig);
            rig.settle();
            let (go, sent) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(AtomicBool::new(false)),
            );
            let peer = {
                let (mut far, go, sent) = (
                    line.far.try_clone().expect("a descriptor"),
                    go.clone(),
                    sent.clone(),
                );
                thread::spawn(move || {
                    while !go.load(Ordering::Acquire) {
                        std::hint::spin_loop();
                    }
                    far.write_all(b"x").expect("the line takes a byte");
                    sent.store(true, Ordering::Release);
                })
            };
            go.store(true, Ordering::Release);
            while !sent.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            line.close();
            assert!(line.is_closed_for_peer(), "the kernel holds the file");
            peer.join().expect("the peer lives");
        }
        rig.drain("at the end");
    });
}

#[test]
fn a_close_overtakes_a_crowd_of_arrivals() {
    with_rig(|rig| {
        let mut lines: Vec<_> = (0..300).map(|_| Line::reading(rig)).collect();
        rig.settle();
        // The kernel tells of these first, and not of all in one call.
        lines.iter().for_each(Line::send);
        for line in &mut lines {
            line.close();
            assert!(line.is_closed_for_peer(), "the kernel holds the file");
        }
        rig.drain("at the end");
    });
}

#[test]
fn a_listeners_port_is_free_at_once() {
    with_watchdog(|| {
        let mut rig = Rig::open();
        for _ in 0..20 {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let address = listener.local_addr().expect("bound");
            let source = Source::new(listener.as_raw_fd());
            rig.arm(&source, Direction::Read);
            rig.settle();
            // On any thread: it is not only the owner who closes listeners.
            thread::spawn(move || {
                source.release();
                drop(listener);
                let refused = TcpStream::connect(address).expect_err("nobody listens any more");
                assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
                TcpListener::bind(address).expect("the port is free");
            })
            .join()
            .expect("the port was free at once");
        }
        assert_eq!(rig.remote.live(), 0);
    });
}

#[test]
fn closing_on_another_thread_is_immediate() {
    with_rig(|rig| {
        for stage in STAGES {
            let mut line = line_at(rig, stage);
            // The owner does nothing meanwhile: nobody has to come by.
            thread::spawn(move || {
                line.close();
                assert!(line.is_closed_for_peer(), "{stage:?}");
            })
            .join()
            .expect("it is closed at once");
            assert_eq!(rig.remote.live(), 0, "{stage:?}");
        }
    });
}

#[test]
fn a_number_used_anew_gets_no_report_of_its_former_holder() {
    with_rig(|rig| {
        for stage in STAGES {
            for is_owner in [true, false] {
                let mut old = line_at(rig, stage);
                // The file lives on under another number, so that a watch that
                // was left over would still find events.
                let kept = old.near().try_clone().expect("a descriptor");
                let number = old.near().as_raw_fd();
                if is_owner {
                    old.close();
                } else {
                    old = thread::spawn(move || {
                        old.close();
                        old
                    })
                    .join()
                    .expect("the other thread lives");
                }
                let mut new = Line::new();
                take_number(&mut new, number);
                rig.arm(&new.source, Direction::Read);
                let bell = Bell::new();
                assert!(bell.wait(&new.source, Direction::Read).is_pending());
                old.send();
                rig.settle();
                assert!(!new.is_ready(Direction::Read), "{stage:?}");
                assert_eq!(bell.rings(), 0);
                new.send();
                rig.park_until("its own byte is reported", || bell.rings() == 1);
                drop(kept);
            }
        }
        rig.drain("at the end");
    });
}

/// Moves the near end of a new line to `number`, or to the lowest that is free
/// when another test has just taken it.
fn take_number(line: &mut Line, number: i32) {
    let near = line.near.take().expect("a new line is open");
    let moved = dup_from(&near, number);
    line.near = Some(moved.into());
    line.source = Source::new(line.near().as_raw_fd());
}

fn dup_from(fd: impl AsFd, number: i32) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(fd, number).expect("a free number")
}

#[test]
fn a_file_that_lives_on_wakes_nobody() {
    const WINDOW: Duration = Duration::from_millis(20);
    with_rig(|rig| {
        let mut line = Line::reading(rig);
        rig.settle();
        let _kept = line.near().try_clone().expect("a descriptor");
        line.close();
        rig.settle();
        line.send();
        let begin = Instant::now();
        rig.park_for(WINDOW);
        assert!(begin.elapsed() >= WINDOW, "a watch was left");
    });
}

#[test]
fn the_end_of_one_stream_never_reaches_the_next_with_its_number() {
    with_rig(|rig| {
        for _ in 0..100 {
            let mut old = Line::reading(rig);
            rig.settle();
            let number = old.near().as_raw_fd();
            old.far
                .shutdown(std::net::Shutdown::Both)
                .expect("a connected pair");
            old.close();
            let mut new = Line::new();
            take_number(&mut new, number);
            rig.arm(&new.source, Direction::Read);
            rig.settle();
            let ready = new.source.event(tapio_driver::Ready::ALL).ready;
            assert!(
                !ready.is_read_closed() && !ready.is_write_closed(),
                "{ready:?}"
            );
        }
    });
}

#[test]
fn threads_that_arm_and_release_lose_nothing() {
    const THREADS: usize = 3;
    const ROUNDS: usize = 700;
    with_watchdog(|| {
        let mut rig = Rig::open();
        let left = Arc::new(AtomicUsize::new(THREADS));
        let others: Vec<_> = (0..THREADS)
            .map(|_| {
                let (remote, left) = (Arc::clone(&rig.remote), Arc::clone(&left));
                thread::spawn(move || {
                    for round in 0..ROUNDS {
                        let mut line = Line::new();
                        let bell = Bell::new();
                        arm(&remote, &line.source, Direction::Read);
                        let _ = bell.wait(&line.source, Direction::Read);
                        line.send();
                        let limit = Instant::now() + PATIENCE;
                        while bell.rings() == 0 {
                            assert!(Instant::now() < limit, "a watch was lost, round {round}");
                            thread::yield_now();
                        }
                        line.close();
                    }
                    left.fetch_sub(1, Ordering::Release);
                    remote.unpark();
                })
            })
            .collect();
        while left.load(Ordering::Acquire) > 0 && !others.iter().all(|other| other.is_finished()) {
            rig.park_for(PATIENCE);
        }
        for other in others {
            other.join().expect("no watch was lost");
        }
        rig.drain("at the end");
    });
}
