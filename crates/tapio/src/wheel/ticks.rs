//! Moments as numbers: milliseconds since the wheel was made.

use std::time::{Duration, Instant};

/// The tick of all deadlines that are 146 million years away or more, which
/// time does not reach; below it no sum of ticks overflows.
pub(super) const LAST: u64 = 1 << 62;

const NANOS_PER_TICK: u32 = 1_000_000;

/// The conversion between moments and ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks {
    start: Instant,
}

impl Ticks {
    pub(super) fn from(start: Instant) -> Ticks {
        Ticks { start }
    }

    /// The tick at which a timer for `deadline` is due: rounded up, so that it
    /// never fires early.
    #[inline]
    pub(super) fn at_or_after(self, deadline: Instant) -> u64 {
        let since = deadline.saturating_duration_since(self.start);
        in_ticks(
            since.as_secs(),
            since.subsec_nanos().div_ceil(NANOS_PER_TICK),
        )
    }

    /// The last tick that `now` has reached.
    #[inline]
    pub(super) fn reached(self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        in_ticks(since.as_secs(), since.subsec_nanos() / NANOS_PER_TICK).min(LAST - 1)
    }

    /// The moment at which `tick` begins, or the last moment that can be told
    /// to a driver if there is none so late.
    pub(super) fn moment(self, tick: u64) -> Instant {
        // A tick below LAST is a duration without overflow, but the sum may
        // have no Instant where the system's clock already reads very late.
        // Waking early is harmless: the wheel looks again.
        let mut after = Duration::from_millis(tick);
        loop {
            if let Some(moment) = self.start.checked_add(after) {
                return moment;
            }
            after /= 2;
        }
    }
}

#[inline]
fn in_ticks(secs: u64, ticks_of_second: u32) -> u64 {
    secs.saturating_mul(1000)
        .saturating_add(u64::from(ticks_of_second))
        .min(LAST)
}
