//! The wheel against a list, and the cases that a list cannot show.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use tapio_driver::Wakes;

use super::{Outcome, Refused, TimerKey, Wheel};

const MS: Duration = Duration::from_millis(1);

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
    Waker::from(Arc::new(Named { name, log: log.clone() }))
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
    wheel.insert(deadline, Some(waker(name, log))).expect("the deadline lies ahead")
}

fn remove_all(wheel: &mut Wheel, keys: impl IntoIterator<Item = TimerKey>) {
    for key in keys {
        wheel.remove(key);
    }
    assert_eq!(wheel.len(), 0);
    assert_eq!(wheel.next_tick(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Duration),
    InsertPast(Duration),
    Advance(Duration),
    AdvanceToNext,
    Remove(usize),
    Check(usize),
    Reset(usize, Duration),
}

/// Spans of every size, and often just beside the places where digits roll
/// over.
fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![
        4 => (0..3_000_000_u64).prop_map(Duration::from_nanos),
        4 => (0..10_000_u64).prop_map(Duration::from_millis),
        2 => (0..8_u32, 0..5_u64).prop_map(|(digit, near)| {
            Duration::from_millis(((1_u64 << (6 * digit)) + near).saturating_sub(2))
        }),
        1 => (0..1_u64 << 40).prop_map(Duration::from_millis),
        1 => any::<u32>().prop_map(|secs| Duration::from_secs(u64::from(secs) << 28)),
        1 => Just(Duration::MAX),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => span().prop_map(Step::Insert),
        1 => span().prop_map(Step::InsertPast),
        3 => span().prop_map(|span| Step::Advance(span.min(Duration::from_secs(1 << 33)))),
        3 => Just(Step::AdvanceToNext),
        2 => (0..64_usize).prop_map(Step::Remove),
        2 => (0..64_usize).prop_map(Step::Check),
        2 => ((0..64_usize), span()).prop_map(|(nth, span)| Step::Reset(nth, span)),
    ]
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

struct Timer {
    name: usize,
    deadline: Instant,
    key: Option<TimerKey>,
    fired: bool,
}

/// The wheel beside the list that says what it ought to do.
struct Pair {
    wheel: Wheel,
    start: Instant,
    now: Instant,
    timers: Vec<Timer>,
    names: usize,
    log: Log,
}

impl Pair {
    fn new() -> Pair {
        let start = Instant::now();
        let (timers, log) = (Vec::new(), Log::default());
        Pair { wheel: Wheel::new(start), start, now: start, timers, names: 0, log }
    }

    /// A deadline in ticks, by another way than the wheel's.
    fn tick(&self, deadline: Instant) -> u128 {
        deadline.saturating_duration_since(self.start).as_nanos().div_ceil(1_000_000)
    }

    fn reached(&self) -> u128 {
        (self.now - self.start).as_millis()
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Insert(span) => self.insert(after(self.now, span)),
            Step::InsertPast(span) => self.insert(self.now.checked_sub(span).unwrap_or(self.start)),
            Step::Advance(span) => self.advance(after(self.now, span)),
            Step::AdvanceToNext => {
                let horizon = after(self.start, Duration::from_secs(1 << 50));
                if let Some(next) = self.wheel.next_deadline().filter(|&next| next < horizon) {
                    self.advance(next);
                }
            }
            Step::Remove(nth) if nth < self.timers.len() => {
                let mut timer = self.timers.swap_remove(nth);
                let waker = self.wheel.remove(timer.key.take().expect("a listed timer has a key"));
                assert_eq!(waker.is_none(), timer.fired, "a fired timer has no waker left");
            }
            Step::Check(nth) if nth < self.timers.len() => self.check(nth),
            Step::Reset(nth, span) if nth < self.timers.len() => self.reset(nth, span),
            Step::Remove(_) | Step::Check(_) | Step::Reset(..) => {}
        }
        self.compare();
    }

    fn insert(&mut self, deadline: Instant) {
        let name = self.names;
        let is_due = self.tick(deadline) <= self.reached();
        match self.wheel.insert(deadline, Some(waker(name, &self.log))) {
            Ok(key) => {
                assert!(!is_due, "a due timer was taken in");
                self.timers.push(Timer { name, deadline, key: Some(key), fired: false });
                self.names += 1;
            }
            Err(refused) => assert!(is_due && matches!(refused, Refused::Due(Some(_)))),
        }
    }

    fn advance(&mut self, now: Instant) {
        self.now = now;
        advance(&mut self.wheel, now);
        let mut expected: Vec<(u128, usize)> = Vec::new();
        let reached = self.reached();
        for nth in 0..self.timers.len() {
            let tick = self.tick(self.timers[nth].deadline);
            let timer = &mut self.timers[nth];
            if !timer.fired && tick <= reached {
                assert!(timer.deadline <= now, "a timer fired early");
                timer.fired = true;
                expected.push((tick, timer.name));
            }
        }
        let woken = std::mem::take(&mut *self.log.lock());
        let mut sorted = woken.clone();
        sorted.sort_unstable();
        let mut names: Vec<usize> = expected.iter().map(|&(_, name)| name).collect();
        names.sort_unstable();
        assert_eq!(sorted, names, "others fired than were due");
        let tick_of = |name| expected.iter().find(|&&(_, other)| other == name).map(|&(tick, _)| tick);
        assert!(woken.is_sorted_by_key(|&name| tick_of(name)), "not in the order of their ticks");
    }

    fn check(&mut self, nth: usize) {
        let timer = &mut self.timers[nth];
        let key = timer.key.take().expect("a listed timer has a key");
        assert_eq!(self.wheel.has_fired(&key), timer.fired);
        match self.wheel.check(key, Waker::noop()) {
            Outcome::Fired(_) => {
                assert!(timer.fired, "a waiting timer was called fired");
                self.timers.swap_remove(nth);
            }
            Outcome::WakesAnother(key) => {
                assert!(!timer.fired, "a fired timer was called waiting");
                let known = self.wheel.set_waker(&key, waker(timer.name, &self.log));
                assert!(known.is_some());
                timer.key = Some(key);
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    fn reset(&mut self, nth: usize, span: Duration) {
        let deadline = after(self.now, span);
        let is_due = self.tick(deadline) <= self.reached();
        let timer = &mut self.timers[nth];
        let key = timer.key.take().expect("a listed timer has a key");
        match self.wheel.reset(key, deadline) {
            Ok(key) => {
                assert!(!is_due);
                // Whoever fired lost the waker and shows it again.
                self.wheel.set_waker(&key, waker(timer.name, &self.log));
                (timer.key, timer.deadline, timer.fired) = (Some(key), deadline, false);
            }
            Err(refused) => {
                assert!(is_due);
                let Refused::Due(waker) = refused else { panic!("not shut down") };
                assert_eq!(waker.is_none(), timer.fired);
                self.timers.swap_remove(nth);
            }
        }
    }

    fn compare(&self) {
        assert_eq!(self.wheel.len(), self.timers.len());
        let waiting = self.timers.iter().filter(|timer| !timer.fired);
        let first = waiting.map(|timer| self.tick(timer.deadline)).min();
        match (first, self.wheel.next_tick()) {
            (None, None) => {}
            (Some(first), Some(next)) => {
                assert!(u128::from(next) <= first, "the wheel would be advanced too late");
                assert!(u128::from(next) > self.reached(), "the wheel would be advanced in vain");
            }
            other => panic!("first timer against next tick: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn does_what_a_list_would_do(steps in vec(step(), 1..200)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.run(step);
        }
        let keys = pair.timers.drain(..).filter_map(|timer| timer.key);
        remove_all(&mut pair.wheel, keys);
    }
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
        advance(&mut wheel, start + MS * 7_770 * (name as u32 + 1) - MS * 7_000);
    }
    advance(&mut wheel, moment);
    assert_eq!(*log.lock(), (0..10).collect::<Vec<_>>());
    remove_all(&mut wheel, keys);
}

#[test]
fn a_lone_timer_is_woken_for_once() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    let deadline = start + Duration::from_secs(86_400 * 365 * 30) + MS / 2;
    let key = insert(&mut wheel, deadline, 0, &log);
    let next = wheel.next_deadline().expect("a timer waits");
    assert!(next >= deadline && next < deadline + MS, "rounded up to the next tick");
    assert_eq!(advance(&mut wheel, next - MS / 4), 0);
    assert_eq!(advance(&mut wheel, next), 1);
    remove_all(&mut wheel, [key]);
}

#[test]
fn a_deadline_at_the_end_of_time_is_kept() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    let key = insert(&mut wheel, after(start, Duration::MAX), 0, &log);
    assert!(wheel.next_deadline().is_some_and(|next| next > start + Duration::from_secs(1 << 50)));
    assert_eq!(advance(&mut wheel, start + Duration::from_secs(1 << 40)), 0);
    remove_all(&mut wheel, [key]);
}

#[test]
fn a_crowd_is_handed_out_in_parts_and_leaves_no_memory_behind() {
    let (start, log) = (Instant::now(), Log::default());
    let mut wheel = Wheel::new(start);
    // One deadline at the beginning of a slot and one within it.
    let deadlines = [start + MS * 4096, start + MS * 5000];
    let crowd = 100_000;
    let keys: Vec<_> =
        (0..crowd).map(|name| insert(&mut wheel, deadlines[name % 2], name, &log)).collect();
    let mut wakes = Wakes::default();
    wheel.advance(deadlines[1], &mut wakes);
    assert!(wakes.len() < crowd / 10, "{} at once", wakes.len());
    assert!(wheel.next_deadline().is_some_and(|next| next <= deadlines[1]), "the rest is due");
    let mut keys = keys.into_iter();
    // Those that are due can be claimed before they are handed out.
    let unclaimed = keys.next_back().expect("a crowd");
    assert!(!wheel.has_fired(&unclaimed), "time waits for the first deadline's crowd");
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
    assert!(wheel.capacity() < crowd, "an idle wheel gives a crowd's memory back");
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
    assert!(matches!(wheel.insert(start + MS * 9, None), Err(Refused::ShutDown(None))));
    assert!(matches!(wheel.check(near, Waker::noop()), Outcome::ShutDown(None)));
    assert!(matches!(wheel.reset(far, start + MS * 9), Err(Refused::ShutDown(None))));
    remove_all(&mut wheel, [fired]);
}
