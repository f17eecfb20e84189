//! `cargo xtask test`: everything that the README's test command promises.

mod browser;
mod drivers;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, announce, cargo_command, run_tests};
use crate::process::raise_file_limit;
use crate::tally::Tally;
use crate::workspace::{Package, Workspace};

pub(crate) use crate::test::drivers::{Drivers, choose as choose_drivers};

/// Packages whose tests either do not touch a driver or try both themselves.
/// Every other package is tested once with each driver.
const DRIVER_FREE: &[&str] = &["tapio-driver", "tapio-macros", "tapio-bench", "xtask"];

/// The package with the peers, and the few of them that its own tests need:
/// building all is minutes that say nothing about tapio.
pub(crate) const BENCH: &str = "tapio-bench";
pub(crate) const BENCH_FEATURES: &str = "chat,tapio-peer,tokio-peer";

/// Where a test that cannot run here appends one line, `name: reason`.
const SKIP_LOG: &str = "TAPIO_SKIP_LOG";

/// What was asked for on the command line.
#[derive(Debug, Default)]
struct Options {
    drivers: Drivers,
    skip_browser: bool,
    filters: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let options = parse(args)?;
    let workspace = Workspace::load()?;
    test_all(&workspace, &options)?.close()
}

/// All tests, as the last step of `ci`.
pub(crate) fn everything(workspace: &Workspace) -> Result<Tally, String> {
    test_all(workspace, &Options::default())
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--driver" => options.drivers = Drivers::parse(args.next())?,
            "--skip-browser" => options.skip_browser = true,
            flag if flag.starts_with('-') => {
                return Err(format!("test: no flag `{flag}`; see `cargo xtask help`"));
            }
            filter => options.filters.push(filter.to_owned()),
        }
    }
    Ok(options)
}

fn test_all(workspace: &Workspace, options: &Options) -> Result<Tally, String> {
    raise_file_limit();
    let mut tally = Tally::default();
    let drivers = choose_drivers(options.drivers, &mut tally)?;
    let skip_log = SkipLog::new(workspace)?;
    let skip_browser = options.skip_browser || !options.wants_browser();
    let browser = browser::prepare(skip_browser);

    let (driver_free, driven): (Vec<_>, Vec<_>) = workspace
        .packages
        .iter()
        .partition(|package| DRIVER_FREE.contains(&package.name.as_str()));
    let (bench, driver_free): (Vec<_>, Vec<_>) = driver_free
        .into_iter()
        .partition(|package| package.name == BENCH);

    let mut session = Session {
        workspace,
        filters: &options.filters,
        skip_log: &skip_log,
        browser: &browser,
        tally,
    };
    let all_features = ["--tests", "--all-features"];
    session.test("driver-free", &driver_free, &all_features, None);
    for (index, driver) in drivers.iter().enumerate() {
        session.test(driver, &driven, &all_features, Some(driver));
        if index == 0 {
            // What the documentation shows does not depend on the driver.
            let documented: Vec<_> = workspace
                .packages
                .iter()
                .filter(|package| package.has_library && package.name != BENCH)
                .collect();
            session.test(
                "doc",
                &documented,
                &["--doc", "--all-features"],
                Some(driver),
            );
        }
    }
    let bench_flags = [
        "--tests",
        "--no-default-features",
        "--features",
        BENCH_FEATURES,
    ];
    session.test("bench", &bench, &bench_flags, None);
    let mut tally = session.tally;
    skip_log.count(&mut tally);
    Ok(tally)
}

impl Options {
    /// Whether any browser test may be among what was asked for.
    fn wants_browser(&self) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|f| f.contains("browser"))
    }
}

/// What all runs of one invocation share.
struct Session<'a> {
    workspace: &'a Workspace,
    filters: &'a [String],
    skip_log: &'a SkipLog,
    browser: &'a browser::Browser,
    tally: Tally,
}

impl Session<'_> {
    /// Builds and runs the tests of some packages, and adds them up.
    fn test(&mut self, name: &str, packages: &[&Package], flags: &[&str], driver: Option<&str>) {
        if packages.is_empty() {
            return;
        }
        println!("\n== {name} ==");
        let mut args = vec!["test", "--no-fail-fast"];
        for package in packages {
            args.extend(["-p", &package.name]);
        }
        args.extend(flags);
        if !flags.contains(&"--doc") {
            let mut build = args.clone();
            build.push("--no-run");
            if let Err(why) = command::run(cargo_command(self.workspace, build)) {
                self.tally.fail(format!("{name}: does not build: {why}"));
                return;
            }
        }
        if !self.filters.is_empty() {
            args.push("--");
            args.extend(self.filters.iter().map(String::as_str));
        }
        let mut command = cargo_command(self.workspace, args);
        self.browser.tell(&mut command);
        command.env(SKIP_LOG, &self.skip_log.path);
        if let Some(driver) = driver {
            command.env("TAPIO_DRIVER", driver);
        }
        self.tally += run_tests(name, command);
    }
}

/// The file in which tests say that they could not run, and why.
///
/// libtest has no way to skip at run time: such a test returns early and
/// counts as passed, which would be a lie in the closing line.
struct SkipLog {
    path: PathBuf,
}

impl SkipLog {
    fn new(workspace: &Workspace) -> Result<SkipLog, String> {
        let path = workspace
            .target
            .join(format!("skipped-tests-{}.txt", std::process::id()));
        crate::workspace::write(&path, "")?;
        Ok(SkipLog { path })
    }

    /// Turns what the tests said into skips.
    fn count(&self, tally: &mut Tally) {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        // The same test may say so once for each driver, and that is a count of
        // two, but one line is enough to read.
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        tally.passed = tally.passed.saturating_sub(lines.len());
        tally.skipped += lines.len();
        lines.sort_unstable();
        lines.dedup();
        tally.skips.extend(lines.into_iter().map(str::to_owned));
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a program can be found on the search path.
fn is_installed(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Runs a program that sets something up, without questions at a terminal.
fn set_up(program: &str, args: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null());
    announce(&command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{program}` ended with {status}")),
        Err(error) => Err(format!("cannot run `{program}`: {error}")),
    }
}
