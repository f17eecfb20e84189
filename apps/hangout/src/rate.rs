//! How often a connection may speak.

use std::time::{Duration, Instant};

/// A token bucket: `burst` at once after a pause, `rate` a second in the long run.
///
/// Time is passed in, so that a test need not wait for it.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// When the bucket is, or was, full again.
    full_at: Instant,
    one: Duration,
    burst: Duration,
}

impl Bucket {
    pub(crate) fn new(rate: usize, burst: usize, now: Instant) -> Self {
        let one = Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX);
        Self {
            full_at: now,
            one,
            burst: one * u32::try_from(burst).unwrap_or(u32::MAX),
        }
    }

    /// Takes one token, or says how long until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + self.one;
        let owed = full_at - now;
        if owed > self.burst {
            return Err(owed - self.burst);
        }
        self.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Bucket;

    #[test]
    fn a_burst_then_a_steady_rate() {
        let mut now = Instant::now();
        let mut bucket = Bucket::new(10, 3, now);
        assert_eq!((0..5).filter(|_| bucket.take(now).is_ok()).count(), 3);
        assert_eq!(bucket.take(now), Err(Duration::from_millis(100)));
        now += Duration::from_millis(100);
        assert_eq!(bucket.take(now), Ok(()));
        assert!(bucket.take(now).is_err());
        now += Duration::from_secs(60);
        assert_eq!((0..5).filter(|_| bucket.take(now).is_ok()).count(), 3);
    }
}
