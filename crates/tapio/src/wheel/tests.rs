//! The wheel's own cases; `list` sets it against a list.

mod list;

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use tapio_driver::Wakes;
use tapio_driver::lock::Mutex;

use super::{Outcome, Refused, TimerKey, Wheel};

const MS: Duration = Duration::from_millis(1);
const YEAR: Duration = Duration::from_secs(86_400 * 365);

/// Where wakers write down that they were woken.
type Log = Arc<Mutex<Vec<usize>>>;

struct Named {
    name: usize,
    log: Log,
}

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.log.lock().push(self.name);
    }
}

fn waker(name: usize, log: &Log) -> Waker {
    Waker::from(Arc::new(Named {
        name,
        log: log.clone(),
    }))
}

/// Advances until nothing more is due at `now`.
fn advance(wheel: &mut Wheel, now: Instant) -> usize {
    let mut wakes = Wakes::default();
    let mut woken = 0;
    loop {
        wheel.advance(now, &mut wakes);
        if wakes.is_empty() {
            return woken;
        }
        woken += wakes.len();
        wakes.wake_all();
    }
}

fn insert(wheel: &mut Wheel, deadline: Instant, name: usize, log: &Log) -> TimerKey {
    wheel
        .insert(deadline, Some(waker(name, log)))
        .expect("the deadline lies ahead")
}

/// A moment `span` after another, or the last there is.
fn after(moment: Instant, mut span: Duration) -> Instant {
    loop {
        match moment.checked_add(span) {
            Some(later) => return later,
            None => span /= 2,
        }
    }
}

fn remove_all(wheel: &mut Wheel, keys: impl IntoIterator<Item = TimerKey>) {
    for key in keys {
        wheel.remove(key);
    }
    assert_eq!(wheel.len(), 0);
    assert_eq!(wheel.next_tick(), None);
}

#[test]
fn timers_of_a_tick_fire_in_the_order_in_which_they_came() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    let moment = start + MS * 70_000;
    let mut keys = vec![];
    for name in 0..10 {
        keys.push(insert(&mut wheel, moment, name, &log));
        // Some wait while the first have cascaded already.
        advance(
            &mut wheel,
            start + MS * 7_770 * (name as u32 + 1) - MS * 7_000,
        );
    }
    advance(&mut wheel, moment);
    assert_eq!(*log.lock(), (0..10).collect::<Vec<_>>());
    remove_all(&mut wheel, keys);
}

#[test]
fn a_lone_timer_is_woken_for_once() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    let deadline = start + YEAR + MS / 2;
    let key = insert(&mut wheel, deadline, 0, &log);
    let next = wheel.next_deadline().expect("a timer waits");
    assert!(
        next >= deadline && next < deadline + MS,
        "rounded up to the next tick"
    );
    assert_eq!(advance(&mut wheel, next - MS / 4), 0);
    assert_eq!(advance(&mut wheel, next), 1);
    remove_all(&mut wheel, [key]);
}

#[test]
fn a_timer_beyond_the_levels_is_reached_in_a_few_steps() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    let deadline = start + YEAR * 30;
    let key = insert(&mut wheel, deadline, 0, &log);
    let mut steps = 0;
    loop {
        let next = wheel.next_deadline().expect("a timer waits");
        steps += 1;
        if advance(&mut wheel, next) > 0 {
            assert_eq!(next, deadline);
            break;
        }
    }
    assert!(steps < 20, "{steps}");
    remove_all(&mut wheel, [key]);
}

#[test]
fn nobody_is_woken_for_a_crowd_on_its_way_down() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    let mut keys = vec![];
    let deadlines: Vec<Instant> = (0..1000).map(|name| start + MS * (60_000 + name)).collect();
    for (name, &deadline) in deadlines.iter().enumerate().rev() {
        keys.push(insert(&mut wheel, deadline, name, &log));
    }
    for &deadline in &deadlines {
        assert_eq!(wheel.next_deadline(), Some(deadline));
        assert_eq!(advance(&mut wheel, deadline), 1);
    }
    remove_all(&mut wheel, keys);
}

#[test]
fn a_deadline_at_the_end_of_time_is_kept() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    let key = insert(&mut wheel, after(start, Duration::MAX), 0, &log);
    for _ in 0..100 {
        let next = wheel.next_deadline().expect("a timer waits");
        assert_eq!(advance(&mut wheel, next), 0);
    }
    assert_eq!(advance(&mut wheel, start + Duration::from_secs(1 << 50)), 0);
    remove_all(&mut wheel, [key]);
}

#[test]
fn a_crowd_is_handed_out_in_parts_and_leaves_no_memory_behind() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    // One deadline at the beginning of a slot and one within it.
    let deadlines = [start + MS * 4096, start + MS * 5000];
    let crowd = 100_000;
    let keys: Vec<_> = (0..crowd)
        .map(|name| insert(&mut wheel, deadlines[name % 2], name, &log))
        .collect();
    let mut wakes = Wakes::default();
    wheel.advance(deadlines[1], &mut wakes);
    assert!(wakes.len() < crowd / 10, "{} at once", wakes.len());
    assert!(
        wheel
            .next_deadline()
            .is_some_and(|next| next <= deadlines[1]),
        "the rest is due"
    );
    let mut keys = keys.into_iter();
    // Those that are due can be claimed before they are handed out.
    let unclaimed = keys.next_back().expect("a crowd");
    assert!(
        !wheel.has_fired(&unclaimed),
        "time waits for the first deadline's crowd"
    );
    let of_first = keys.next_back().expect("a crowd");
    assert!(wheel.has_fired(&of_first));
    let Outcome::Fired(Some(_)) = wheel.check(of_first, Waker::noop()) else {
        panic!("due, with its waker");
    };
    let rest = advance(&mut wheel, deadlines[1]);
    assert_eq!(wakes.len() + rest, crowd - 1);
    wheel.remove(unclaimed);
    remove_all(&mut wheel, keys);
    advance(&mut wheel, deadlines[1]);
    assert!(
        wheel.capacity() < crowd,
        "an idle wheel gives a crowd's memory back"
    );
}

#[test]
fn time_never_goes_back() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    advance(&mut wheel, start + MS * 100);
    advance(&mut wheel, start + MS * 50);
    let refused = wheel.insert(start + MS * 99, Some(waker(0, &log)));
    assert!(matches!(refused, Err(Refused::Due(Some(_)))));
}

#[test]
fn shutting_down_wakes_everybody_and_refuses_the_rest() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    let fired = insert(&mut wheel, start + MS, 0, &log);
    advance(&mut wheel, start + MS);
    let near = insert(&mut wheel, start + MS * 5, 1, &log);
    let far = insert(&mut wheel, start + MS * 5_000_000, 2, &log);
    let mut wakes = Wakes::default();
    wheel.shut_down(&mut wakes);
    wakes.wake_all();
    assert_eq!(*log.lock(), [0, 1, 2]);
    assert_eq!(wheel.next_deadline(), None);
    assert!(matches!(
        wheel.insert(start + MS * 9, None),
        Err(Refused::ShutDown(None))
    ));
    assert!(matches!(
        wheel.check(near, Waker::noop()),
        Outcome::ShutDown(None)
    ));
    assert!(matches!(
        wheel.reset(far, start + MS * 9),
        Err(Refused::ShutDown(None))
    ));
    remove_all(&mut wheel, [fired]);
}
