//! What the people of a chat have noticed.

use std::ops::Range;

use crate::{histogram::Histogram, report::Figures};

/// Latencies before and while the server is blocked, and what has not come at all.
#[derive(Debug)]
pub(crate) struct Noticed {
    /// Messages that were due in here are those before.
    pub(crate) calm: Range<u64>,
    /// And those that were due in here are those meanwhile, as are the GETs.
    pub(crate) blocked: Range<u64>,
    before: Histogram,
    meanwhile: Histogram,
    gets: Histogram,
    expected: u64,
    delivered: u64,
    late_ns: u64,
    /// Connections that ended though nobody asked them to.
    pub(crate) lost: u64,
    /// What the server refused first.
    pub(crate) refused: Option<String>,
}

impl Noticed {
    pub(crate) fn new() -> Self {
        Self {
            calm: 0..0,
            blocked: 0..0,
            before: Histogram::new(),
            meanwhile: Histogram::new(),
            gets: Histogram::new(),
            expected: 0,
            delivered: 0,
            late_ns: 0,
            lost: 0,
            refused: None,
        }
    }

    /// Something that was due at `due` is sent at `now`.
    pub(crate) fn sent(&mut self, due: u64, now: u64) {
        if self.calm.contains(&due) || self.blocked.contains(&due) {
            self.late_ns = self.late_ns.max(now - due);
        }
    }

    /// A message is to reach so many people.
    pub(crate) fn expect(&mut self, people: u64) {
        self.expected += people;
    }

    /// A message that was due at `due` has reached one of them at `now`.
    pub(crate) fn message(&mut self, due: u64, now: u64) {
        self.delivered += 1;
        if self.blocked.contains(&due) {
            self.meanwhile.record(now.saturating_sub(due));
        } else if self.calm.contains(&due) {
            self.before.record(now.saturating_sub(due));
        }
    }

    /// A GET that was due at `due` has its answer at `now`.
    pub(crate) fn got(&mut self, due: u64, now: u64) {
        if self.blocked.contains(&due) {
            self.gets.record(now.saturating_sub(due));
        }
    }

    /// Whether every message has reached everybody.
    pub(crate) fn is_complete(&self) -> bool {
        self.delivered >= self.expected
    }

    /// All of it, for the suite.
    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for (name, histogram) in [
            ("calm_", &self.before),
            ("", &self.meanwhile),
            ("get_", &self.gets),
        ] {
            figures.set(
                &format!("{name}p50_us"),
                histogram.quantile(0.5) as f64 / 1e3,
            );
            figures.set(
                &format!("{name}p99_us"),
                histogram.quantile(0.99) as f64 / 1e3,
            );
            figures.set(&format!("{name}max_us"), histogram.max() as f64 / 1e3);
        }
        figures.set("deliveries", self.meanwhile.total() as f64);
        figures.set(
            "missing",
            self.expected.saturating_sub(self.delivered) as f64,
        );
        figures.set("lost", self.lost as f64);
        figures.set("late_us", self.late_ns as f64 / 1e3);
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::Noticed;

    #[test]
    fn each_message_is_counted_where_it_was_due() {
        let mut noticed = Noticed::new();
        (noticed.calm, noticed.blocked) = (0..1_000, 1_000..2_000);
        noticed.expect(4);
        for (due, now) in [(999, 5_999), (1_000, 101_000), (2_500, 900_000_000)] {
            noticed.message(due, now);
        }
        noticed.sent(1_500, 4_500);
        noticed.sent(2_500, 900_000_000);
        let figures = noticed.figures();
        assert!(!noticed.is_complete());
        assert_eq!(figures.get("calm_max_us"), 5.0);
        assert_eq!(figures.get("max_us"), 100.0);
        assert_eq!(figures.get("missing"), 1.0);
        assert_eq!(figures.get("late_us"), 3.0);
    }
}
