//! How long something lasted that was only seen now and then.

use std::time::{Duration, Instant};

/// A guard that was kept from looking for longer was stopped with the whole
/// process, and cannot say when in that time something began.
const GAP_MAX: Duration = Duration::from_millis(100);

/// From between two looks to between two others. Each end is told as the
/// middle of what it may be.
#[derive(Debug)]
pub(super) struct Span {
    first_seen: Instant,
    last_seen: Instant,
    /// It was not there for so long before it was first seen.
    gap: Duration,
}

impl Span {
    /// Of what is seen `now` and was not `gap` before.
    pub(super) fn new(now: Instant, gap: Duration) -> Span {
        Span {
            first_seen: now,
            last_seen: now,
            gap: gap.min(GAP_MAX),
        }
    }

    /// It is seen again.
    pub(super) fn goes_on(&mut self, now: Instant) {
        self.last_seen = now;
    }

    /// How long it had lasted when it was last seen.
    pub(super) fn so_far(&self) -> Duration {
        self.last_seen - self.first_seen + self.gap / 2
    }

    /// How long it lasted, if it is not seen any more `now`.
    pub(super) fn ended(&self, now: Instant) -> Duration {
        self.so_far() + now.saturating_duration_since(self.last_seen).min(GAP_MAX) / 2
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Span;

    #[test]
    fn each_end_is_in_the_middle_of_what_it_may_be() {
        let ms = Duration::from_millis;
        let begin = Instant::now();
        // Looks at 0, 40, 90, 200 and 230 ms; it is seen from the second to
        // the fourth.
        let mut span = Span::new(begin + ms(40), ms(40));
        assert_eq!(span.so_far(), ms(20));
        span.goes_on(begin + ms(90));
        span.goes_on(begin + ms(200));
        assert_eq!(span.so_far(), ms(180));
        assert_eq!(span.ended(begin + ms(230)), ms(195));
        // An hour in which nobody could look is not an hour of it.
        let span = Span::new(begin + ms(3_600_000), ms(3_600_000));
        assert_eq!(span.ended(begin + ms(7_200_000)), ms(100));
    }
}
