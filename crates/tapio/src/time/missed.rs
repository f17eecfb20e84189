//! What an interval does about ticks that nobody took in time.

use std::time::Duration;

use crate::time::Instant;

/// How late a tick may be taken and still count as taken in time: timers are
/// not exact, and an interval must not drift because of that.
const TOLERANCE: Duration = Duration::from_millis(5);

/// What an [`Interval`](super::Interval) does when a tick is taken more than
/// five milliseconds late.
///
/// An interval of 50 ms, one of whose ticks is taken 120 ms late (`!`):
/// ```text
/// planned   0    50   100  150  200  250  300
/// Burst     0    50             !|||      300     those missed at once, then as planned
/// Delay     0    50             !    270  320     anew from the late one
/// Skip      0    50             !    250  300     those missed are left out
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Makes up for the missed ticks one right after the other, until it has
    /// caught up with the plan. The default.
    #[default]
    Burst,
    /// Goes on one period after the late tick was taken: two ticks are never
    /// less than a period apart, and the plan moves.
    Delay,
    /// Leaves the missed ticks out and goes on at the next one that was
    /// planned.
    Skip,
}

impl MissedTickBehavior {
    /// The tick after the one that was planned for `planned` and taken `now`.
    pub(super) fn next_tick(self, planned: Instant, now: Instant, period: Duration) -> Instant {
        let late = now - planned;
        if late <= TOLERANCE {
            return planned.plus(period);
        }
        match self {
            MissedTickBehavior::Burst => planned.plus(period),
            MissedTickBehavior::Delay => now.plus(period),
            MissedTickBehavior::Skip => now.plus(period - remainder(late, period)),
        }
    }
}

fn remainder(span: Duration, period: Duration) -> Duration {
    const NANOS: u128 = 1_000_000_000;
    let nanos = span.as_nanos() % period.as_nanos();
    // Both fit: the remainder is less than a period.
    Duration::new((nanos / NANOS) as u64, (nanos % NANOS) as u32)
}

#[cfg(test)]
mod tests {
    use super::MissedTickBehavior::{self, Burst, Delay, Skip};
    use super::remainder;
    use crate::time::{Duration, Instant};

    const PERIOD: Duration = Duration::from_millis(50);

    fn next(behavior: MissedTickBehavior, late: Duration) -> Duration {
        let planned = Instant::now();
        behavior.next_tick(planned, planned + late, PERIOD) - planned
    }

    #[test]
    fn ticks_taken_in_time_keep_the_plan() {
        for behavior in [Burst, Delay, Skip] {
            for late in [0, 1, 5] {
                assert_eq!(next(behavior, Duration::from_millis(late)), PERIOD);
            }
        }
    }

    #[test]
    fn late_ticks_are_made_up_for_as_asked() {
        let late = Duration::from_millis(120);
        assert_eq!(next(Burst, late), PERIOD);
        assert_eq!(next(Delay, late), Duration::from_millis(170));
        assert_eq!(next(Skip, late), Duration::from_millis(150));
        // Exactly on a planned tick: that one is being taken.
        assert_eq!(
            next(Skip, Duration::from_millis(100)),
            Duration::from_millis(150)
        );
        // A little beyond the tolerance.
        let late = Duration::from_nanos(5_000_001);
        assert_eq!(next(Delay, late), PERIOD + late);
        assert_eq!(next(Skip, late), PERIOD);
    }

    #[test]
    fn remainders_of_long_spans_are_exact() {
        let period = Duration::new(u64::MAX, 999_999_999);
        assert_eq!(remainder(period - PERIOD, period), period - PERIOD);
        let span = Duration::from_secs(1 << 60) + Duration::from_nanos(3);
        assert_eq!(
            remainder(span, Duration::from_nanos(4)),
            Duration::from_nanos(3)
        );
    }
}
