//! The rounds summed up, as tables for the terminal and for the document.

use std::fmt::Write;

use super::{
    Settings,
    cases::{Case, Section},
    machine,
};
use crate::{
    report::Figures,
    stats::{Summary, number},
};

/// What all trials of a section gave.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// One for each trial that succeeded: case, peer, figures.
    trials: Vec<(&'static str, &'static str, Figures)>,
    failures: Vec<(&'static str, &'static str, String)>,
    /// The rate that a case was measured at, where it is not in its name.
    rates: Vec<(&'static str, f64)>,
    /// The machine's load average before the first trial.
    load_average: String,
}

impl Results {
    /// Begins with nothing but the state of the machine.
    pub(crate) fn begin() -> Self {
        Self {
            load_average: machine::load_average(),
            ..Self::default()
        }
    }

    /// Keeps the outcome of one trial.
    pub(crate) fn add(
        &mut self,
        case: &'static str,
        peer: &'static str,
        outcome: Result<Figures, String>,
    ) {
        match outcome {
            Ok(figures) => self.trials.push((case, peer, figures)),
            Err(reason) => self.failures.push((case, peer, reason)),
        }
    }

    /// Keeps what was fixed only when the case was measured.
    pub(crate) fn note(&mut self, name: &'static str, case: &Case) {
        if let (Some(_), Some(rate)) = (case.rate_share, case.rate) {
            self.rates.push((name, rate));
        }
    }

    /// Whether `peer` has failed in `case` and never succeeded.
    pub(crate) fn cannot_run(&self, case: &str, peer: &str) -> bool {
        let failed = self.failures.iter().any(|of| of.0 == case && of.1 == peer);
        failed && !self.peers(case).contains(&peer)
    }

    fn peers(&self, case: &str) -> Vec<&'static str> {
        let mut peers = Vec::new();
        for (of, peer, _) in &self.trials {
            if *of == case && !peers.contains(peer) {
                peers.push(*peer);
            }
        }
        peers
    }

    fn summary(&self, case: &str, peer: &str, figure: &str, unit: f64) -> Option<Summary> {
        let mine = self
            .trials
            .iter()
            .filter(|trial| trial.0 == case && trial.1 == peer);
        let samples: Vec<f64> = mine.map(|trial| trial.2.get(figure) / unit).collect();
        Summary::of(&samples)
    }
}

/// The section as Markdown.
pub(crate) fn section(section: &Section, results: &Results, settings: &Settings) -> String {
    let mut text = format!(
        "## {}: {}\n\n{}.\n\n",
        section.name, section.title, section.about
    );
    let peers = machine::versions(&settings.root);
    let _ = writeln!(
        text,
        "`{}` ({} rounds of {} s each) on {}, load average before it {}. Tapio at {}; {peers}.",
        settings.command,
        settings.rounds,
        settings.secs,
        machine::machine(),
        results.load_average,
        machine::revision(&settings.root),
    );
    for case in section.cases {
        table(&mut text, section, case, results);
    }
    text
}

fn table(text: &mut String, section: &Section, case: &Case, results: &Results) {
    let _ = write!(text, "\n### {}\n\n", case.name);
    if let Some((_, rate)) = results.rates.iter().find(|(name, _)| *name == case.name) {
        let _ = write!(text, "{} requests/s.\n\n", number(*rate));
    }
    let headings: Vec<&str> = section
        .columns
        .iter()
        .map(|column| column.heading)
        .collect();
    let _ = writeln!(text, "| peer | {} |", headings.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(headings.len()));
    for peer in results.peers(case.name) {
        let cells = section.columns.iter().map(|column| {
            let summary = results.summary(case.name, peer, column.figure, column.unit);
            summary.map_or_else(|| String::from("–"), |summary| summary.text())
        });
        let _ = writeln!(
            text,
            "| {peer} | {} |",
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    let failures = results
        .failures
        .iter()
        .filter(|failure| failure.0 == case.name);
    for (i, (_, peer, reason)) in failures.enumerate() {
        let gap = if i == 0 { "\n" } else { "" };
        let what = if results.cannot_run(case.name, peer) {
            "is missing"
        } else {
            "failed once"
        };
        let _ = writeln!(text, "{gap}- {peer} {what}: {reason}");
    }
}

/// The first columns of one trial, for the eyes of whoever waits.
pub(crate) fn brief(section: &Section, figures: &Figures) -> String {
    let cell = |column: &super::cases::Column| {
        format!(
            "{} {}",
            number(figures.get(column.figure) / column.unit),
            column.heading
        )
    };
    section
        .columns
        .iter()
        .map(cell)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::Results;
    use crate::report::Figures;

    fn figures(value: f64) -> Figures {
        let mut figures = Figures::default();
        figures.set("ns", value);
        figures
    }

    #[test]
    fn sums_up_by_case_and_peer_and_keeps_failures() {
        let mut results = Results::default();
        for value in [3.0, 1.0, 2.0] {
            results.add("case", "a", Ok(figures(value)));
            results.add("other", "a", Ok(figures(100.0)));
        }
        results.add("case", "b", Err("refused".into()));
        assert_eq!(results.peers("case"), ["a"]);
        assert_eq!(results.summary("case", "a", "ns", 1.0).unwrap().median, 2.0);
        assert_eq!(results.summary("case", "a", "ns", 10.0).unwrap().max, 0.3);
        results.add("case", "a", Err("once".into()));
        assert!(results.cannot_run("case", "b"));
        assert!(!results.cannot_run("other", "b"));
        assert!(!results.cannot_run("case", "a"), "it has succeeded before");
    }
}
