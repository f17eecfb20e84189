//! `cargo xtask ci`: what a submission has to pass, timed step by step.

use std::time::{Duration, Instant};

use crate::command::{self, cargo_command, run_tests};
use crate::examples;
use crate::process::raise_file_limit;
use crate::tally::Tally;
use crate::test::{self, BENCH, BENCH_FEATURES, Drivers, choose_drivers};
use crate::tidy;
use crate::workspace::Workspace;

/// One line of the closing table.
struct Step {
    name: &'static str,
    took: Duration,
    tally: Tally,
}

/// The names of the steps, in their order: cheap ones first, as what fails
/// often should fail soon.
const STEPS: &[&str] = &[
    "format", "tidy", "clippy", "features", "docs", "models", "examples", "test",
];

/// What `--quick` leaves out.
const SLOW: &[&str] = &["features", "docs", "models"];

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let wanted = parse(args)?;
    raise_file_limit();
    let workspace = Workspace::load()?;
    // Why the ring is left out is said, and counted, by the tests.
    let drivers = choose_drivers(Drivers::Both, &mut Tally::default())?;

    let mut steps = Vec::new();
    for name in wanted {
        println!("\n==== {name} ====");
        let start = Instant::now();
        let mut tally = match name {
            "format" => plain(format(&workspace)),
            "tidy" => plain(tidy::check(&workspace)),
            "clippy" => plain(clippy(&workspace)),
            "features" => features(&workspace),
            "docs" => plain(docs(&workspace)),
            "models" => models(&workspace),
            "examples" => examples::check(&workspace, &drivers),
            "test" => test::everything(&workspace).unwrap_or_else(|why| plain(Err(why))),
            _ => unreachable!("every name comes from STEPS"),
        };
        for failure in &mut tally.failures {
            *failure = format!("{name}: {failure}");
        }
        steps.push(Step {
            name,
            took: start.elapsed(),
            tally,
        });
    }

    println!("\nstep        seconds  passed  failed  skipped");
    let mut total = Tally::default();
    for Step { name, took, tally } in steps {
        let (passed, failed, skipped) = (tally.passed, tally.failed, tally.skipped);
        let seconds = took.as_secs_f64();
        println!("{name:10} {seconds:8.1} {passed:7} {failed:7} {skipped:8}");
        total += tally;
    }
    total.close()
}

/// The steps to run: all, the quick ones, or those named.
fn parse(args: &[String]) -> Result<Vec<&'static str>, String> {
    if args == ["--quick"] {
        let quick = STEPS.iter().filter(|step| !SLOW.contains(step));
        return Ok(quick.copied().collect());
    }
    if let Some(unknown) = args.iter().find(|arg| !STEPS.contains(&arg.as_str())) {
        return Err(format!(
            "ci has no step `{unknown}`: it takes --quick, or some of {}",
            STEPS.join(", ")
        ));
    }
    let is_wanted = |step: &&str| args.is_empty() || args.iter().any(|arg| arg == step);
    Ok(STEPS.iter().copied().filter(is_wanted).collect())
}

/// A step that is one check: it counts as one.
fn plain(result: Result<(), String>) -> Tally {
    let mut tally = Tally::default();
    match result {
        Ok(()) => tally.passed = 1,
        Err(why) => {
            println!("{why}");
            // The list at the end needs one line; the rest has been printed.
            tally.fail(why.lines().next().unwrap_or("failed"));
        }
    }
    tally
}

/// Every file, named one by one: `cargo fmt` does not see modules that a macro
/// or a `cfg` declares.
fn format(workspace: &Workspace) -> Result<(), String> {
    let files = workspace.files_with("rs")?;
    let mut command = std::process::Command::new("rustfmt");
    command
        .args(["--check", "--edition", "2024"])
        .args(&files)
        .current_dir(&workspace.root)
        .stdin(std::process::Stdio::null());
    println!("$ rustfmt --check --edition 2024 ({} files)", files.len());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("some files are not formatted: run `cargo fmt --all`".to_owned()),
        Err(error) => Err(format!("cannot run rustfmt: {error}")),
    }
}

fn clippy(workspace: &Workspace) -> Result<(), String> {
    let deny = ["--", "-D", "warnings"];
    let ours = [
        "clippy",
        "--workspace",
        "--exclude",
        BENCH,
        "--all-targets",
        "--all-features",
    ];
    command::run(cargo_command(workspace, ours.into_iter().chain(deny)))?;
    // Without the heavy peers: nobody else's crate is ours to lint, and they
    // take longer to build than all the rest.
    let bench = [
        "clippy",
        "-p",
        BENCH,
        "--all-targets",
        "--no-default-features",
        "--features",
        BENCH_FEATURES,
    ];
    command::run(cargo_command(workspace, bench.into_iter().chain(deny)))
}

/// Each feature of the library alone, and none: a feature may not need another
/// one that it does not name.
fn features(workspace: &Workspace) -> Tally {
    let mut tally = Tally::default();
    for name in ["tapio", "tapio-http", "tapio-driver"] {
        let Some(package) = workspace.package(name) else {
            continue;
        };
        let single = package.features.iter().map(String::as_str);
        let single = single.filter(|feature| !["default", "full"].contains(feature));
        for feature in std::iter::once("").chain(single) {
            let check = [
                "clippy",
                "--quiet",
                "-p",
                name,
                "--no-default-features",
                "--features",
                feature,
                "--",
                "-D",
                "warnings",
            ];
            match command::run(cargo_command(workspace, check)) {
                Ok(()) => tally.passed += 1,
                Err(_) if feature.is_empty() => tally.fail(format!("{name} without features")),
                Err(_) => tally.fail(format!("{name} with only the feature `{feature}`")),
            }
        }
    }
    tally
}

fn docs(workspace: &Workspace) -> Result<(), String> {
    let doc = [
        "doc",
        "--workspace",
        "--exclude",
        BENCH,
        "--no-deps",
        "--all-features",
    ];
    let mut command = cargo_command(workspace, doc);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command::run(command)
}

/// The loom models, in a folder of their own: the flag changes every crate.
fn models(workspace: &Workspace) -> Tally {
    let packages = match examples::packages_with_models(workspace) {
        Ok(packages) => packages,
        Err(why) => return plain(Err(why)),
    };
    let mut tally = Tally::default();
    if packages.is_empty() {
        tally.skip("models: there is no model.rs");
    }
    for package in packages {
        let test = [
            "test",
            "--release",
            "--lib",
            "-p",
            package,
            "--all-features",
            "model",
        ];
        let mut command = cargo_command(workspace, test);
        command
            .env("RUSTFLAGS", "--cfg tapio_model")
            .env("CARGO_TARGET_DIR", workspace.target.join("model"));
        let run = run_tests(package, command);
        if run.passed + run.failed == 0 {
            tally.fail(format!("{package}: has a model.rs, but no model ran"));
        }
        tally += run;
    }
    tally
}
