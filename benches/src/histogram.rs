//! A histogram of durations with a bounded relative error.
//!
//! Values below [`LINEAR`] have a bucket each; above, each power of two is cut
//! into [`HALF`] equal buckets, so that a reported value is at most 1/128 above
//! the true one. Recording is an index and an addition: it may sit in the loop
//! of the load generator.

/// Buckets per power of two.
const HALF: u64 = 128;
/// Below this, values are exact.
const LINEAR: u64 = 2 * HALF;
/// `log2(LINEAR)`.
const LINEAR_BITS: u32 = LINEAR.trailing_zeros();
/// Largest recordable value, about 18 minutes in nanoseconds; larger ones count as this.
const MAX: u64 = (1 << 40) - 1;
const BUCKETS: usize = bucket_of(MAX) + 1;

/// Counts of durations in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            max: 0,
        }
    }

    /// Counts one value.
    pub(crate) fn record(&mut self, ns: u64) {
        self.counts[bucket_of(ns.min(MAX))] += 1;
        self.total += 1;
        self.max = self.max.max(ns);
    }

    /// Forgets everything, for the end of a warm-up.
    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.max = 0;
    }

    /// How many values were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The largest value, exactly.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// The smallest value that at least `q` (0 to 1) of all values do not exceed.
    ///
    /// It is the upper end of the bucket, hence never an understatement. Zero
    /// when nothing was counted.
    pub(crate) fn quantile(&self, q: f64) -> u64 {
        let rank = ((self.total as f64 * q).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_end(bucket).min(self.max);
            }
        }
        self.max
    }
}

const fn bucket_of(value: u64) -> usize {
    if value < LINEAR {
        return value as usize;
    }
    // With the top bit at LINEAR_BITS + n, shifting by n + 1 leaves HALF..LINEAR.
    let shift = 64 - value.leading_zeros() - LINEAR_BITS;
    (shift as u64 * HALF + (value >> shift)) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < LINEAR {
        return bucket;
    }
    let shift = bucket / HALF - 1;
    let mantissa = bucket - shift * HALF;
    ((mantissa + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, LINEAR, MAX, bucket_of, upper_end};

    #[test]
    fn buckets_are_contiguous_and_hold_their_values() {
        let mut previous = None;
        for bucket in 0..BUCKETS {
            let upper = upper_end(bucket);
            assert_eq!(bucket_of(upper), bucket, "upper end of {bucket}");
            if let Some(previous) = previous {
                assert_eq!(bucket_of(previous + 1), bucket, "lower end of {bucket}");
            }
            previous = Some(upper);
        }
        assert_eq!(previous, Some(MAX));
    }

    #[test]
    fn error_is_bounded_and_never_an_understatement() {
        let mut value = 1u64;
        while value < MAX / 3 {
            for probe in [value - 1, value, value + value / 3] {
                let said = upper_end(bucket_of(probe));
                assert!(said >= probe);
                assert!(said - probe <= probe / 128, "{probe} became {said}");
            }
            value *= 2;
        }
    }

    #[test]
    fn quantiles_against_sorting() {
        let mut histogram = Histogram::new();
        let mut values = Vec::new();
        let mut state = 88_172_645_463_325_252_u64;
        for _ in 0..10_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let value = state % (1 << (10 + state % 20));
            values.push(value);
            histogram.record(value);
        }
        values.sort_unstable();
        for q in [0.001, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let exact = values[(values.len() as f64 * q).ceil() as usize - 1];
            let said = histogram.quantile(q);
            assert!(
                said >= exact && said - exact <= exact / 128 + 1,
                "{q}: {exact} {said}"
            );
        }
        assert_eq!(histogram.max(), values[9_999]);
        assert_eq!(histogram.total(), 10_000);
    }

    #[test]
    fn empty_cleared_and_overflowing() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), 0);
        histogram.record(u64::MAX);
        assert_eq!(histogram.max(), u64::MAX);
        assert_eq!(histogram.quantile(0.5), MAX);
        histogram.clear();
        assert_eq!(
            (histogram.total(), histogram.max(), histogram.quantile(1.0)),
            (0, 0, 0)
        );
        histogram.record(LINEAR - 1);
        assert_eq!(histogram.quantile(1.0), LINEAR - 1);
    }
}
