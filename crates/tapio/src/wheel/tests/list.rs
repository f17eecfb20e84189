//! The wheel against a list that says what it ought to do.

use std::task::Waker;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::{Log, advance, after, remove_all, waker};
use crate::wheel::{Outcome, Refused, TimerKey, Wheel};

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
        Pair {
            wheel: Wheel::new(start),
            start,
            now: start,
            timers,
            names: 0,
            log,
        }
    }

    /// A deadline in ticks, by another way than the wheel's.
    fn tick(&self, deadline: Instant) -> u128 {
        deadline
            .saturating_duration_since(self.start)
            .as_nanos()
            .div_ceil(1_000_000)
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
                let waker = self
                    .wheel
                    .remove(timer.key.take().expect("a listed timer has a key"));
                assert_eq!(
                    waker.is_none(),
                    timer.fired,
                    "a fired timer has no waker left"
                );
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
                self.timers.push(Timer {
                    name,
                    deadline,
                    key: Some(key),
                    fired: false,
                });
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
        let tick_of = |name| {
            expected
                .iter()
                .find(|&&(_, other)| other == name)
                .map(|&(tick, _)| tick)
        };
        assert!(
            woken.is_sorted_by_key(|&name| tick_of(name)),
            "not in the order of their ticks"
        );
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
                let Refused::Due(waker) = refused else {
                    panic!("not shut down")
                };
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
                assert!(
                    u128::from(next) <= first,
                    "the wheel would be advanced too late"
                );
                assert!(
                    u128::from(next) > self.reached(),
                    "the wheel would be advanced in vain"
                );
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
