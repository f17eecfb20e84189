//! A peer beside itself without the guard: the ratio of what they cost, round by round.

use super::table::Results;
use crate::peers;

/// Of the ratios of many rounds: the middle, how well it is known, and how far apart they lay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    median: f64,
    /// The median of many more such rounds lies between these with a probability of 95 %.
    known: (f64, f64),
    range: (f64, f64),
    rounds: usize,
}

impl Ratio {
    /// Sums up ratios that were measured independently; `None` when there are none.
    ///
    /// The interval is that of the sign test, which assumes nothing of how they are distributed:
    /// between the values whose ranks lie 1.96 standard deviations of a fair coin from the middle.
    fn of(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.retain(|ratio| ratio.is_finite());
        ratios.sort_by(f64::total_cmp);
        let (&min, &max) = (ratios.first()?, ratios.last()?);
        let count = ratios.len();
        let below = (count as f64 / 2.0 - 0.98 * (count as f64).sqrt()).floor();
        let below = below.max(0.0) as usize;
        Some(Self {
            median: crate::stats::median(&ratios),
            known: (ratios[below], ratios[count - 1 - below]),
            range: (min, max),
            rounds: count,
        })
    }
}

/// The table of the ratios of `figure`, for every peer that was measured with and without.
pub(crate) fn table(results: &Results, case: &str, figure: &str) -> String {
    let mut text =
        String::from("| with / without guard | median of the rounds | 95 % | all rounds |\n");
    text.push_str("|---|---|---|---|\n");
    for peer in peers::ALL {
        let Some(guarded) = peer.unguarded else {
            continue;
        };
        let with = results.rounds(case, guarded, figure);
        let without = results.rounds(case, peer.name, figure);
        let ratios = with.iter().filter_map(|(round, with)| {
            let (_, without) = without.iter().find(|(of, _)| of == round)?;
            Some(with / without)
        });
        let Some(ratio) = Ratio::of(ratios.collect()) else {
            continue;
        };
        let (known, range) = (ratio.known, ratio.range);
        text.push_str(&format!(
            "| {guarded} | {:.3} | {:.3}..{:.3} | {:.2}..{:.2} of {} |\n",
            ratio.median, known.0, known.1, range.0, range.1, ratio.rounds
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Ratio;

    #[test]
    fn few_rounds_say_little_and_many_say_more() {
        assert_eq!(Ratio::of(vec![]), None);
        let few = Ratio::of(vec![1.02, 0.98, 1.0, f64::NAN]).unwrap();
        assert_eq!((few.median, few.rounds), (1.0, 3));
        assert_eq!(few.known, few.range);
        let many: Vec<f64> = (0..101).map(|i| 0.95 + f64::from(i) / 1_000.0).collect();
        let many = Ratio::of(many).unwrap();
        assert_eq!(many.median, 1.0);
        assert_eq!(many.range, (0.95, 1.05));
        // The 41st and the 61st of 101, as tables of the sign test have it.
        assert_eq!(many.known, (0.95 + 0.04, 0.95 + 0.06));
    }
}
