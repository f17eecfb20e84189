//! What came of it: on the terminal and in `docs/tokio-parity.md`.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::parity::Outcome;
use crate::tally::Tally;
use crate::workspace::{Workspace, write as write_file};

type Outcomes = BTreeMap<String, Outcome>;

/// One line for each file that ran.
pub(crate) fn print(outcomes: &Outcomes) {
    println!();
    for (name, outcome) in outcomes {
        for (driver, run) in &outcome.runs {
            println!("{name:32} {driver:6} {run}");
        }
    }
}

/// Writes the page for readers of the documentation.
pub(crate) fn write(
    workspace: &Workspace,
    version: &str,
    drivers: &[&str],
    outcomes: &Outcomes,
) -> Result<(), String> {
    let page = page(version, drivers, outcomes).map_err(|error| error.to_string())?;
    let path = workspace.root.join("docs/tokio-parity.md");
    write_file(&path, &page)?;
    println!("\nwrote docs/tokio-parity.md");
    Ok(())
}

fn page(version: &str, drivers: &[&str], outcomes: &Outcomes) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    writeln!(
        page,
        "# tokio's tests on tapio\n\n\
         Written by `cargo xtask parity`, not by hand. The tests are those published with \
         tokio {version}, compiled with `tokio = {{ package = \"tapio\", features = [\"full\"] }}` \
         and otherwise unchanged, except that tests of what tapio does not have yet are taken out \
         and counted as skipped. Each cell reads *passed / failed / skipped*.\n"
    )?;
    for driver in drivers {
        let mut total = Tally::default();
        for outcome in outcomes.values() {
            if let Some(run) = outcome.runs.get(*driver) {
                total += run.clone();
                total.skipped += outcome.cut.len();
            }
        }
        writeln!(page, "- Driver `{driver}`: {total}.")?;
    }
    let left_out = outcomes.values().filter(|o| o.left_out.is_some()).count();
    writeln!(
        page,
        "- Left out as whole files: {left_out}; the reasons are below.\n"
    )?;

    writeln!(page, "| file | {} |", drivers.join(" | "))?;
    writeln!(page, "|---|{}", "---|".repeat(drivers.len()))?;
    for (name, outcome) in outcomes {
        if outcome.left_out.is_some() {
            continue;
        }
        write!(page, "| `{name}` |")?;
        for driver in drivers {
            let run = outcome.runs.get(*driver).cloned().unwrap_or_default();
            let skipped = run.skipped + outcome.cut.len();
            write!(page, " {} / {} / {skipped} |", run.passed, run.failed)?;
        }
        writeln!(page)?;
    }

    section(
        &mut page,
        "Failed",
        outcomes
            .values()
            .flat_map(|outcome| outcome.runs.values().flat_map(|run| run.failures.clone())),
    )?;
    section(
        &mut page,
        "Skipped tests",
        outcomes.iter().flat_map(|(name, outcome)| {
            let cut = outcome
                .cut
                .iter()
                .map(move |(test, reason)| format!("`{name}`: `{test}`: {reason}"));
            // The same for every driver, so the first one's will do.
            let skipped = outcome
                .runs
                .values()
                .take(1)
                .flat_map(|run| run.skips.clone());
            cut.chain(skipped)
        }),
    )?;
    section(
        &mut page,
        "Files left out",
        outcomes.iter().filter_map(|(name, outcome)| {
            let reason = outcome.left_out.as_ref()?;
            Some(format!("`{name}`: {reason}"))
        }),
    )?;
    Ok(page)
}

fn section(
    page: &mut String,
    title: &str,
    lines: impl Iterator<Item = String>,
) -> std::fmt::Result {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n## {title}\n")?;
    for line in lines {
        writeln!(page, "- {line}")?;
    }
    Ok(())
}
