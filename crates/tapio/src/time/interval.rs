//! Waiting again and again.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::missed::MissedTickBehavior;
use super::timer::Timer;
use crate::time::Instant;

/// Ticks every `period`, the first time at once.
///
/// Unlike a sleep in a loop it counts from one planned tick to the next, so
/// the time spent between ticks does not add up. What happens when that takes
/// longer than a period is its [`MissedTickBehavior`].
///
/// # Panics
/// When `period` is zero; outside of a runtime, or in one built without
/// [`enable_time`](crate::runtime::Builder::enable_time).
///
/// # Examples
/// ```
/// use tapio::time::{Duration, Instant, interval};
///
/// # #[tapio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut interval = interval(Duration::from_millis(5));
/// let first = interval.tick().await;
/// let second = interval.tick().await;
/// assert_eq!(second - first, Duration::from_millis(5));
/// # }
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert_period(period);
    Interval::new(Timer::due(Instant::now()), period)
}

/// Ticks every `period`, the first time at `start`.
///
/// As [`interval`] in all else.
///
/// # Panics
/// As [`interval`].
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert_period(period);
    Interval::new(Timer::new(start), period)
}

#[track_caller]
fn assert_period(period: Duration) {
    assert!(!period.is_zero(), "`period` must be non-zero.");
}

/// Ticks, one period apart; see [`interval`].
#[derive(Debug)]
pub struct Interval {
    timer: Timer,
    period: Duration,
    behavior: MissedTickBehavior,
}

impl Interval {
    fn new(timer: Timer, period: Duration) -> Interval {
        let behavior = MissedTickBehavior::default();
        Interval {
            timer,
            period,
            behavior,
        }
    }

    /// Waits for the next tick and says for when it was planned.
    ///
    /// # Cancel safety
    /// Dropped early, no tick is lost.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// Polls for the next tick.
    ///
    /// When pending, the task of the latest call is woken at the tick.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.timer.poll(cx));
        let planned = self.timer.deadline();
        let next = self
            .behavior
            .next_tick(planned, Instant::now(), self.period);
        self.timer.set_idle(next);
        Poll::Ready(planned)
    }

    /// Makes the next tick come one period from now.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Makes the next tick come at once.
    pub fn reset_immediately(&mut self) {
        self.timer.make_due(Instant::now());
    }

    /// Makes the next tick come `after` from now.
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(Instant::now().plus(after));
    }

    /// Makes the next tick come at `deadline`, and those after it count from
    /// there. Ticks that were missed are forgotten, but a deadline in the past
    /// is itself late and treated as the [`MissedTickBehavior`] says.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.timer.reset(deadline);
    }

    /// What happens when a tick is missed.
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.behavior
    }

    /// Chooses what happens when a tick is missed.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.behavior = behavior;
    }

    /// The time between ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }
}
