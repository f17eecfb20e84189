//! Moments.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// What stands for "never" where a deadline lies beyond what the clock can
/// tell: thirty years.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// A moment on a clock that never goes back.
///
/// A [`std::time::Instant`] whose `now` asks the runtime's clock, so that time
/// can be something else in a test.
#[derive(Clone, Copy, Eq, PartialEq, PartialOrd, Ord, Hash)]
pub struct Instant {
    std: std::time::Instant,
}

impl Instant {
    /// This moment.
    ///
    /// # Examples
    /// ```
    /// let start = tapio::time::Instant::now();
    /// assert!(tapio::time::Instant::now() >= start);
    /// ```
    #[must_use]
    #[inline]
    pub fn now() -> Instant {
        Instant {
            std: std::time::Instant::now(),
        }
    }

    /// The same moment from the standard library's type.
    #[must_use]
    pub fn from_std(std: std::time::Instant) -> Instant {
        Instant { std }
    }

    /// The same moment in the standard library's type.
    #[must_use]
    pub fn into_std(self) -> std::time::Instant {
        self.std
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }

    /// How long after `earlier` this is; `None` if it is before it.
    ///
    /// # Examples
    /// ```
    /// use tapio::time::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// let later = start + Duration::from_secs(1);
    /// assert_eq!(later.checked_duration_since(start), Some(Duration::from_secs(1)));
    /// assert_eq!(start.checked_duration_since(later), None);
    /// ```
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.std.checked_duration_since(earlier.std)
    }

    /// How long after `earlier` this is; zero if it is before it.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }

    /// How long ago this was; zero if it is yet to come.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }

    /// The moment `duration` later, unless the clock cannot tell it.
    #[must_use]
    #[inline]
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.std.checked_add(duration).map(Instant::from_std)
    }

    /// The moment `duration` earlier, unless the clock cannot tell it.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.std.checked_sub(duration).map(Instant::from_std)
    }

    /// The moment `duration` later, or one so far away that nobody sees the
    /// difference.
    #[inline]
    pub(crate) fn plus(self, duration: Duration) -> Instant {
        self.checked_add(duration)
            .or_else(|| self.checked_add(FAR))
            .unwrap_or(self)
    }
}

impl From<std::time::Instant> for Instant {
    fn from(std: std::time::Instant) -> Instant {
        Instant { std }
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> std::time::Instant {
        instant.std
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant {
            std: self.std + duration,
        }
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        self.std += duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        Instant {
            std: self.std - duration,
        }
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        self.std -= duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{FAR, Instant};
    use std::time::Duration;

    #[test]
    fn what_the_clock_cannot_tell_is_far_away() {
        let now = Instant::now();
        assert_eq!(now.plus(Duration::MAX), now + FAR);
        assert_eq!(now.plus(FAR * 100), now + FAR * 100);
        let mut late = now;
        for exponent in (0..64).rev() {
            late = late
                .checked_add(Duration::from_secs(1 << exponent))
                .unwrap_or(late);
        }
        assert_eq!(late.plus(Duration::MAX), late);
    }

    #[test]
    fn differences_do_not_go_below_zero() {
        let now = Instant::now();
        let later = now + Duration::from_secs(2);
        assert_eq!(now - later, Duration::ZERO);
        assert_eq!(now.duration_since(later), Duration::ZERO);
        assert_eq!(later - now, Duration::from_secs(2));
        assert_eq!(Instant::from(std::time::Instant::from(now)), now);
    }
}
