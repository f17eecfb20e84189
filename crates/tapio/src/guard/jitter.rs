//! When the guard looks: not quite regularly.

use std::time::Duration;

/// Makes the periods between looks differ, so that work which is regular
/// itself is not met at the same point each time, or never.
#[derive(Debug)]
pub(super) struct Jitter(u32);

/// A period is shortened by up to this part. Never lengthened: how soon a
/// stall is seen was promised. Work as regular as the guard is met all over
/// its own period after some fifty looks.
const PART: u32 = 4;

impl Jitter {
    pub(super) fn new() -> Jitter {
        Jitter(0x9e37_79b9)
    }

    pub(super) fn shorten(&mut self, period: Duration) -> Duration {
        // Marsaglia's xorshift: good enough to be out of step with anything.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        period - (period / PART).mul_f64(f64::from(self.0) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Jitter;

    #[test]
    fn regular_work_is_met_as_often_as_it_runs() {
        const PERIOD: Duration = Duration::from_micros(2_000);
        // Work that runs for a quarter of each of these.
        for every in [1_000, 1_750, 2_000, 3_500, 10_000] {
            let mut jitter = Jitter::new();
            let (mut now, mut met) = (0, 0);
            const LOOKS: u32 = 20_000;
            for _ in 0..LOOKS {
                let step = jitter.shorten(PERIOD);
                assert!(step <= PERIOD && step >= PERIOD * 3 / 4);
                now += step.as_micros();
                met += u32::from(now % every < every / 4);
            }
            let share = f64::from(met) / f64::from(LOOKS);
            assert!((0.22..0.28).contains(&share), "every {every}: {share}");
        }
    }
}
