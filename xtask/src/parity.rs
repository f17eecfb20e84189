//! `cargo xtask parity`: tokio's published tests, run against tapio.
//!
//! The tests come with the tokio crate that cargo has downloaded anyway for
//! the I/O traits. They are copied into a throw-away crate, in which `tokio`
//! is another name for tapio, and compiled there; none of them is kept here.
//! [`table`] says which files and tests are left out, and why.

mod build;
mod report;
mod source;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::run_tests;
use crate::parity::build::{Built, Harness};
use crate::parity::table::SKIPPED_TESTS;
use crate::process::raise_file_limit;
use crate::tally::Tally;
use crate::test::{Drivers, choose_drivers};
use crate::workspace::Workspace;

/// What came of one test file.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// By driver; empty if the file was not run.
    pub(crate) runs: BTreeMap<String, Tally>,
    /// Tests taken out of the file, with the reason.
    pub(crate) cut: Vec<(String, String)>,
    /// Why the whole file was left out.
    pub(crate) left_out: Option<String>,
}

#[derive(Debug, Default)]
struct Options {
    drivers: Drivers,
    names: Vec<String>,
    /// Hidden: runs the same tests on tokio itself, which shows what fails on
    /// this machine whatever the runtime.
    real: bool,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let options = parse(args)?;
    raise_file_limit();
    let workspace = Workspace::load()?;
    let mut total = Tally::default();
    let drivers = if options.real {
        vec!["tokio"]
    } else {
        choose_drivers(options.drivers, &mut total)?
    };
    let harness = Harness::prepare(&workspace, options.real)?;

    let mut outcomes = BTreeMap::<String, Outcome>::new();
    for file in harness.published_tests()? {
        let name = file_stem(&file);
        if table::is_not_for_linux(&name) {
            continue;
        }
        if !options.names.is_empty() && !options.names.contains(&name) {
            continue;
        }
        let outcome = outcomes.entry(name.clone()).or_default();
        match table::reason_to_leave_out(&name) {
            Some(reason) if options.names.is_empty() => {
                outcome.left_out = Some(reason.to_owned());
            }
            _ => outcome.cut = harness.copy(&file)?,
        }
    }
    if outcomes.is_empty() {
        return Err(format!(
            "tokio has no test file named {}",
            options.names.join(", ")
        ));
    }

    let built = harness.build()?;
    for driver in &drivers {
        for (name, outcome) in &mut outcomes {
            if outcome.left_out.is_none() {
                let run = run_file(name, driver, built.get(name), &harness.folder);
                outcome.runs.insert((*driver).to_owned(), run);
            }
        }
    }

    report::print(&outcomes);
    if options.names.is_empty() && !options.real && options.drivers == Drivers::Both {
        report::write(&workspace, &harness.tokio_version, &drivers, &outcomes)?;
    }
    for (name, outcome) in outcomes {
        if let Some(reason) = &outcome.left_out {
            total.skip(format!("{name}: {reason}"));
        }
        for (test, reason) in &outcome.cut {
            total.skip(format!("{name}: {test}: {reason}"));
        }
        for run in outcome.runs.into_values() {
            total += run;
        }
    }
    total.close()
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--driver" => options.drivers = Drivers::parse(args.next())?,
            "--real-tokio" => options.real = true,
            flag if flag.starts_with('-') => {
                return Err(format!("parity: no flag `{flag}`; see `cargo xtask help`"));
            }
            name => options.names.push(name.trim_end_matches(".rs").to_owned()),
        }
    }
    Ok(options)
}

/// Runs one compiled file with one driver.
fn run_file(name: &str, driver: &str, built: Option<&Built>, folder: &Path) -> Tally {
    let label = format!("{name} ({driver})");
    let Some(Built { program }) = built else {
        let mut tally = Tally::default();
        tally.fail(format!("{label}: does not compile"));
        return tally;
    };
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("TAPIO_DRIVER", driver)
        // Or `--skip` would take others along whose names begin alike.
        .arg("--exact");
    let mut skipped = Vec::new();
    for (file, test, reason) in SKIPPED_TESTS {
        if *file == name {
            command.args(["--skip", test]);
            skipped.push(format!("{name}: {test}: {reason}"));
        }
    }
    let mut tally = run_tests(&label, command);
    if tally == Tally::default() {
        // A file of assertions about types: that it compiles is the test.
        tally.passed = 1;
    }
    for skip in skipped {
        tally.skip(skip);
    }
    tally
}

fn file_stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The files directly in a folder, sorted.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder)
        .map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}
