//! Medians with their spread, over rounds and over batches.

/// The middle of some measurements, and how far they lay apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) count: usize,
}

impl Summary {
    /// Summarises `samples`; `None` when there are none.
    ///
    /// Samples that are not finite are left out: they stand for something that
    /// was not measured.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        Some(Self {
            median: middle(&sorted),
            min,
            max,
            count: sorted.len(),
        })
    }

    /// The median and the range, with as many digits as are worth reading.
    pub(crate) fn text(&self) -> String {
        if self.count < 2 {
            return number(self.median);
        }
        format!(
            "{} ({}..{})",
            number(self.median),
            number(self.min),
            number(self.max)
        )
    }
}

/// The median of `samples`, or NaN when there are none.
pub(crate) fn median(samples: &[f64]) -> f64 {
    Summary::of(samples).map_or(f64::NAN, |summary| summary.median)
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        f64::midpoint(sorted[half - 1], sorted[half])
    }
}

/// Three digits for small numbers, thousands separated for large ones.
pub(crate) fn number(x: f64) -> String {
    if !x.is_finite() {
        return String::from("–");
    }
    let size = x.abs();
    if size < 10.0 {
        return format!("{x:.2}");
    }
    if size < 100.0 {
        return format!("{x:.1}");
    }
    let digits = format!("{:.0}", size);
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if x < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::{Summary, median, number};

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn spread_is_the_whole_range_and_skips_what_was_not_measured() {
        let summary = Summary::of(&[5.0, f64::NAN, 1.0, 9.0]).unwrap();
        assert_eq!(
            (summary.median, summary.min, summary.max, summary.count),
            (5.0, 1.0, 9.0, 3)
        );
        assert_eq!(summary.text(), "5.00 (1.00..9.00)");
        assert_eq!(Summary::of(&[7.0]).unwrap().text(), "7.00");
        assert_eq!(Summary::of(&[f64::NAN]), None);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(7.123), "7.12");
        assert_eq!(number(71.23), "71.2");
        assert_eq!(number(712.3), "712");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(-1_234.0), "-1,234");
        assert_eq!(number(f64::NAN), "–");
    }
}
