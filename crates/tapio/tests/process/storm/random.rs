//! Numbers from a seed, the same each time.

/// Knuth's linear congruence, of which the high bits are good enough here.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Number `stream` of the sequences that a seed stands for.
    pub(super) fn new(seed: u64, stream: u64) -> Random {
        let mut random = Random(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Neighbouring seeds begin alike.
        for _ in 0..4 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number from zero to one less than `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// Another sequence.
    pub(super) fn fork(&mut self) -> Random {
        Random::new(self.next(), self.0)
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    pub(super) fn frame(&mut self, bytes: u64) -> Vec<u8> {
        (0..bytes).map(|_| self.byte()).collect()
    }
}
