//! The rounds summed up, as tables for the terminal and for the document.

use std::fmt::Write;

use super::{
    Settings,
    cases::{Case, Column, Section, Show},
    machine, ratio,
};
use crate::{
    report::Figures,
    stats::{Summary, number},
};

#[derive(Debug)]
struct Trial {
    case: &'static str,
    peer: &'static str,
    /// Which of this peer's trials in this case, failures counted.
    round: usize,
    figures: Figures,
}

/// What all trials of a section gave.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// One for each trial that succeeded.
    trials: Vec<Trial>,
    failures: Vec<(&'static str, &'static str, String)>,
    /// What the logs of programs said, once for each case and peer.
    logs: Vec<(&'static str, &'static str, String)>,
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
        let failed = self
            .failures
            .iter()
            .filter(|of| of.0 == case && of.1 == peer);
        let round = failed.count() + self.rounds(case, peer, "").len();
        match outcome {
            Ok(figures) => self.trials.push(Trial {
                case,
                peer,
                round,
                figures,
            }),
            Err(reason) => self.failures.push((case, peer, reason)),
        }
    }

    /// Keeps what was fixed only when the case was measured.
    pub(crate) fn note(&mut self, name: &'static str, case: &Case) {
        if let (Some(_), Some(rate)) = (case.rate_share, case.rate) {
            self.rates.push((name, rate));
        }
    }

    /// Keeps what `peer` logged in `case`, if it is the first time.
    pub(crate) fn log(&mut self, case: &'static str, peer: &'static str, text: String) {
        if !self.logs.iter().any(|log| log.0 == case && log.1 == peer) {
            self.logs.push((case, peer, text));
        }
    }

    /// The figures of `peer` in `case` by the round that they are from.
    pub(crate) fn rounds(&self, case: &str, peer: &str, figure: &str) -> Vec<(usize, f64)> {
        let mine = self
            .trials
            .iter()
            .filter(|trial| trial.case == case && trial.peer == peer);
        mine.map(|trial| (trial.round, trial.figures.get(figure)))
            .collect()
    }

    /// Whether anything is known of `case`.
    fn has(&self, case: &str) -> bool {
        let failed = self.failures.iter().any(|of| of.0 == case);
        failed || self.trials.iter().any(|trial| trial.case == case)
    }

    /// Whether `peer` has failed in `case` and never succeeded.
    pub(crate) fn cannot_run(&self, case: &str, peer: &str) -> bool {
        let failed = self.failures.iter().any(|of| of.0 == case && of.1 == peer);
        failed && !self.peers(case).contains(&peer)
    }

    fn peers(&self, case: &str) -> Vec<&'static str> {
        let mut peers = Vec::new();
        for trial in &self.trials {
            if trial.case == case && !peers.contains(&trial.peer) {
                peers.push(trial.peer);
            }
        }
        peers
    }

    /// What `column` shows of `peer` in `case`.
    fn cell(&self, case: &str, peer: &str, column: &Column) -> String {
        let rounds = self.rounds(case, peer, column.figure);
        let samples = rounds.iter().map(|(_, figure)| figure / column.unit);
        match column.show {
            Show::Median => Summary::of(&samples.collect::<Vec<_>>())
                .map_or_else(|| String::from("–"), |summary| summary.text()),
            Show::Below(limit) => {
                let below = samples.filter(|sample| *sample < limit).count();
                format!("{below} of {}", rounds.len())
            }
            Show::Any => {
                let any = samples.filter(|sample| *sample > 0.0).count();
                format!("{any} of {}", rounds.len())
            }
            Show::Sum => number(samples.sum()),
        }
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
        if section.blocks() {
            f64::from(settings.block_ms()) / 1e3
        } else {
            settings.secs
        },
        machine::machine(),
        results.load_average,
        machine::revision(&settings.root),
    );
    for case in section.cases.iter().filter(|case| results.has(case.name)) {
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
        let cells = section.columns.iter();
        let cells = cells.map(|column| results.cell(case.name, peer, column));
        let _ = writeln!(
            text,
            "| {peer} | {} |",
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    if section.guard {
        let _ = write!(text, "\n{}", ratio::table(results, case.name, "cpu_ns"));
    }
    for (_, peer, log) in results.logs.iter().filter(|log| log.0 == case.name) {
        let _ = write!(
            text,
            "\nThe log of {peer} said:\n\n```\n{}\n```\n",
            log.trim()
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
    let cell = |column: &Column| {
        format!(
            "{} {}",
            number(figures.get(column.figure) / column.unit),
            column.heading
        )
    };
    section
        .columns
        .iter()
        .filter(|column| column.show == Show::Median)
        .map(cell)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Column, Results, Show};
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
        let cell = |unit: f64, show: Show| {
            let column = Column {
                figure: "ns",
                heading: "",
                unit,
                show,
            };
            results.cell("case", "a", &column)
        };
        assert_eq!(cell(1.0, Show::Median), "2.00 (1.00..3.00)");
        assert_eq!(cell(10.0, Show::Median), "0.20 (0.10..0.30)");
        assert_eq!(cell(1.0, Show::Below(3.0)), "2 of 3");
        assert_eq!(cell(1.0, Show::Sum), "6.00");
        assert_eq!(cell(1.0, Show::Any), "3 of 3");
        results.add("case", "a", Err("once".into()));
        assert!(results.cannot_run("case", "b"));
        assert!(!results.cannot_run("other", "b"));
        assert!(!results.cannot_run("case", "a"), "it has succeeded before");
        results.add("case", "a", Ok(figures(5.0)));
        let rounds = results.rounds("case", "a", "ns");
        assert_eq!(rounds, [(0, 3.0), (1, 1.0), (2, 2.0), (4, 5.0)]);
    }
}
