//! Who waits on a source, and who of them is told.

use std::io::Write;
use std::sync::Arc;
use std::task::{Context, Poll};

use tapio_driver::{Direction, Event, Interest, Place, Ready, Source};

use crate::rig::{Bell, Line, with_rig};

/// One future that waits for an interest.
struct Queued {
    interest: Interest,
    bell: Arc<Bell>,
    place: Place,
}

impl Queued {
    fn new(interest: Interest) -> Queued {
        Queued {
            interest,
            bell: Bell::new(),
            place: Place::default(),
        }
    }

    fn poll(&mut self, source: &Source) -> Poll<Event> {
        let waker = self.bell.waker();
        source.poll_queued(
            &mut Context::from_waker(&waker),
            self.interest,
            &mut self.place,
        )
    }
}

#[test]
fn a_report_tells_those_it_concerns() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        rig.arm(&line.source, Direction::Write);
        rig.settle();
        // Nobody can write until there is room again.
        while line.near().write(&[0; 4096]).is_ok() {}
        let event = line.source.event(Ready::ALL);
        let _ = line.source.clear(event, Direction::Write);
        let mut readers: Vec<_> = (0..100).map(|_| Queued::new(Interest::READABLE)).collect();
        let mut others = [
            Queued::new(Interest::ERROR),
            Queued::new(Interest::WRITABLE),
        ];
        for waiter in readers.iter_mut().chain(&mut others) {
            assert!(waiter.poll(&line.source).is_pending());
        }
        line.send();
        rig.park_until("it is reported", || line.is_ready(Direction::Read));
        for reader in &mut readers {
            assert_eq!(reader.bell.rings(), 1);
            let Poll::Ready(event) = reader.poll(&line.source) else {
                panic!("a reader that was told finds nothing");
            };
            assert_eq!(event.ready, Ready::READABLE);
        }
        for other in &mut others {
            assert_eq!(other.bell.rings(), 0, "{:?}", other.interest);
            line.source.leave(&mut other.place);
        }
    });
}

#[test]
fn whoever_left_is_not_told() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        rig.settle();
        let mut waiters: Vec<_> = (0..9).map(|_| Queued::new(Interest::READABLE)).collect();
        for waiter in &mut waiters {
            assert!(waiter.poll(&line.source).is_pending());
        }
        for waiter in waiters.iter_mut().step_by(2) {
            line.source.leave(&mut waiter.place);
            // Leaving twice leaves nobody else's place.
            line.source.leave(&mut waiter.place);
        }
        // A newcomer may get a place that was left.
        let mut newcomer = Queued::new(Interest::READABLE);
        assert!(newcomer.poll(&line.source).is_pending());
        line.send();
        rig.park_until("it is reported", || newcomer.bell.rings() == 1);
        let told: Vec<_> = waiters.iter().map(|waiter| waiter.bell.rings()).collect();
        assert_eq!(told, [0, 1, 0, 1, 0, 1, 0, 1, 0]);
        // Those who were told and leave without looking change nothing.
        for waiter in &mut waiters {
            line.source.leave(&mut waiter.place);
        }
        assert!(newcomer.poll(&line.source).is_ready());
    });
}

#[test]
fn a_waiter_that_polls_again_is_told_again() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        let mut waiter = Queued::new(Interest::READABLE);
        for round in 1..=20 {
            assert!(waiter.poll(&line.source).is_pending());
            assert!(
                waiter.poll(&line.source).is_pending(),
                "twice with one place"
            );
            line.send();
            rig.park_until("it is reported", || waiter.bell.rings() == round);
            let event = line.take();
            assert!(!line.source.clear(event, Direction::Read));
            // Somebody else took the byte: this waiter keeps its place.
        }
        line.source.leave(&mut waiter.place);
    });
}

#[test]
fn of_those_who_poll_directly_the_last_is_told() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        let (first, last) = (Bell::new(), Bell::new());
        assert!(first.wait(&line.source, Direction::Read).is_pending());
        assert!(last.wait(&line.source, Direction::Read).is_pending());
        line.send();
        rig.park_until("it is reported", || line.is_ready(Direction::Read));
        assert_eq!((first.rings(), last.rings()), (0, 1));
    });
}

#[test]
fn a_stale_event_takes_no_news_back() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        line.send();
        rig.park_until("it is reported", || line.is_ready(Direction::Read));
        let stale = line.take();
        // The next byte is reported before the reader says that it found the
        // line empty.
        line.send();
        rig.settle();
        assert!(!line.source.clear(stale, Direction::Read));
        assert!(line.is_ready(Direction::Read), "news was lost");
        let fresh = line.take();
        assert!(!line.source.clear(fresh, Direction::Read));
        assert!(!line.is_ready(Direction::Read));
    });
}

#[test]
fn clearing_one_direction_leaves_the_other() {
    with_rig(|rig| {
        let line = Line::new();
        line.send();
        for direction in Direction::BOTH {
            rig.arm(&line.source, direction);
        }
        rig.park_until("both are reported", || {
            Direction::BOTH
                .iter()
                .all(|&direction| line.is_ready(direction))
        });
        let event = line.source.event(Ready::ALL);
        let _ = line.source.clear(event, Direction::Read);
        assert!(!line.is_ready(Direction::Read) && line.is_ready(Direction::Write));
        let _ = line.source.clear(event, Direction::Write);
        assert!(!line.is_ready(Direction::Write));
    });
}

#[test]
fn a_source_that_nobody_armed_is_assumed_ready() {
    with_rig(|rig| {
        let line = Line::new();
        let bell = Bell::new();
        for direction in Direction::BOTH {
            assert!(line.source.is_assumed(direction));
            assert!(
                bell.wait(&line.source, direction).is_ready(),
                "a first try is free"
            );
        }
        assert_eq!(rig.remote.live(), 0, "and costs no watch");
        let event = line.source.event(Direction::Read.mask());
        assert!(
            line.source.clear(event, Direction::Read),
            "now it must be armed"
        );
        assert!(!line.source.clear(event, Direction::Read), "by one caller");
    });
}
