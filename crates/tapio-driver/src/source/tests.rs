//! What the conformance suite cannot reach: a driver that refuses, and reports
//! that fall exactly between two steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::{Direction, Event, Place, Source};
use crate::contract::Remote;
use crate::ready::{Interest, Ready};
use crate::wakes::Wakes;

/// A driver that takes whatever is asked of it, or nothing.
#[derive(Debug)]
struct Stub {
    is_taking: bool,
}

impl Remote for Stub {
    fn arm(&self, source: &Arc<Source>) -> io::Result<()> {
        if !self.is_taking {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        source.set_key(Some(1));
        Ok(())
    }

    fn release(&self, source: &Arc<Source>) {
        source.set_key(None);
    }

    fn unpark(&self) {}

    fn live(&self) -> usize {
        0
    }
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn wait(self: &Arc<Self>, source: &Source, direction: Direction) -> Poll<Event> {
        let waker = Waker::from(Arc::clone(self));
        source.poll_ready(&mut Context::from_waker(&waker), direction)
    }

    fn wait_for(
        self: &Arc<Self>,
        source: &Source,
        interest: Interest,
        place: &mut Place,
    ) -> Poll<Event> {
        let waker = Waker::from(Arc::clone(self));
        source.poll_queued(&mut Context::from_waker(&waker), interest, place)
    }
}

/// A source whose readiness is all taken back, and which a driver watches.
fn armed() -> Arc<Source> {
    let source = Source::new(-1);
    let home: Arc<dyn Remote> = Arc::new(Stub { is_taking: true });
    for direction in Direction::BOTH {
        assert!(source.settle(direction));
        let armed = source.arm(|| Arc::clone(&home));
        armed.expect("this driver takes everything");
    }
    source
}

fn report(source: &Source, ready: Ready) {
    let mut wakes = Wakes::default();
    source.report(ready, &mut wakes);
    wakes.wake_all();
}

#[test]
fn a_refused_watch_leaves_nobody_waiting() {
    let source = Source::new(-1);
    assert!(source.settle(Direction::Read));
    // Another task begins to wait just before the first one's watch is refused.
    let (bell, other, mut place) = (Arc::default(), Arc::default(), Place::default());
    assert!(Bell::wait(&bell, &source, Direction::Read).is_pending());
    let waiting = Bell::wait_for(&other, &source, Interest::READABLE, &mut place);
    assert!(waiting.is_pending());
    let refused = source.arm(|| Arc::new(Stub { is_taking: false }));
    assert!(refused.is_err());
    assert_eq!((bell.rings(), other.rings()), (1, 1));
    assert!(
        source.is_assumed(Direction::Read),
        "the next attempt asks anew"
    );
    source.leave(&mut place);
}

#[test]
fn a_report_between_looking_and_waiting_is_seen() {
    let source = armed();
    let bell = Arc::<Bell>::default();
    assert!(bell.wait(&source, Direction::Read).is_pending());
    report(&source, Ready::READABLE);
    assert_eq!(bell.rings(), 1);
    assert!(bell.wait(&source, Direction::Read).is_ready());
    // A second report finds nobody, and is there for whoever comes.
    report(&source, Ready::READABLE);
    assert_eq!(bell.rings(), 1);
}

#[test]
fn news_outlives_a_stale_event() {
    let source = armed();
    report(&source, Ready::READABLE);
    let stale = source.event(Direction::Read.mask());
    report(&source, Ready::READABLE);
    assert!(!source.clear(stale, Direction::Read));
    assert!(source.event(Direction::Read.mask()).ready.is_readable());
}

#[test]
fn what_is_closed_stays_closed() {
    let source = armed();
    report(&source, Ready::READABLE | Ready::READ_CLOSED | Ready::ERROR);
    let event = source.event(Ready::ALL);
    assert!(!source.clear(event, Direction::Read));
    assert_eq!(source.event(Ready::ALL).ready, Ready::READ_CLOSED);
}

#[test]
fn each_direction_takes_back_its_own() {
    let source = armed();
    report(&source, Ready::ALL);
    let event = source.event(Ready::ALL);
    let _ = source.clear(event, Direction::Write);
    let ready = source.event(Ready::ALL).ready;
    assert!(ready.contains(Ready::READABLE | Ready::PRIORITY | Ready::ERROR));
    assert!(!ready.contains(Ready::WRITABLE));
    let _ = source.clear(event, Direction::Read);
    let closed = Ready::READ_CLOSED | Ready::WRITE_CLOSED;
    assert_eq!(source.event(Ready::ALL).ready, closed);
}

#[test]
fn ticks_that_overflow_touch_no_flag() {
    let source = armed();
    source.state.fetch_or(!super::FLAG_BITS, Ordering::Relaxed);
    let last = source.event(Ready::ALL);
    report(&source, Ready::PRIORITY);
    let event = source.event(Ready::ALL);
    assert_eq!((event.ready, event.is_shutdown), (Ready::PRIORITY, false));
    assert!(
        !source.clear(last, Direction::Read),
        "the old event is stale"
    );
    assert_eq!(source.event(Ready::ALL).ready, Ready::PRIORITY);
}

#[test]
fn the_queue_gives_its_memory_back() {
    let source = armed();
    let bell = Arc::<Bell>::default();
    let mut places: Vec<_> = (0..10).map(|_| Place::default()).collect();
    for place in &mut places {
        assert!(
            bell.wait_for(&source, Interest::READABLE, place)
                .is_pending()
        );
    }
    report(&source, Ready::READABLE);
    assert_eq!(bell.rings(), 10);
    // Half find their event, half are dropped.
    for (index, place) in places.iter_mut().enumerate() {
        if index % 2 == 0 {
            assert!(bell.wait_for(&source, Interest::READABLE, place).is_ready());
        } else {
            source.leave(place);
        }
    }
    assert!(source.waiters.lock().queue.is_none());
}
