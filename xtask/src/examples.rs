//! Running the examples and comparing what they print.

use std::fs;
use std::process::{Command, Stdio};

use crate::command::{announce, cargo_command, run};
use crate::tally::Tally;
use crate::workspace::{Workspace, read};

/// Builds all examples, and runs each that has a file `<name>.out` beside it
/// once with each driver; what it prints must be that file.
pub(crate) fn check(workspace: &Workspace, drivers: &[&str]) -> Tally {
    let mut tally = Tally::default();
    for package in &workspace.packages {
        if package.examples.is_empty() {
            continue;
        }
        let build = ["build", "--examples", "--all-features", "-p", &package.name];
        if let Err(why) = run(cargo_command(workspace, build)) {
            tally.fail(format!("examples of {}: {why}", package.name));
            continue;
        }
        for (example, source) in &package.examples {
            let expected = source.with_extension("out");
            if !expected.exists() {
                tally.skip(format!("example {example}: prints nothing to compare with"));
                continue;
            }
            for driver in drivers {
                let label = format!("example {example} ({driver})");
                let program = workspace.target.join("debug/examples").join(example);
                let mut command = Command::new(program);
                command.env("TAPIO_DRIVER", driver);
                let outcome = read(&expected).and_then(|expected| compare(command, &expected));
                match outcome {
                    Ok(()) => tally.passed += 1,
                    Err(why) => tally.fail(format!("{label}: {why}")),
                }
            }
        }
    }
    tally
}

fn compare(mut command: Command, expected: &str) -> Result<(), String> {
    announce(&command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run it: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!(
            "ended with {} after printing:\n{printed}",
            output.status
        ));
    }
    if printed.trim_end() != expected.trim_end() {
        return Err(format!("printed\n{printed}\ninstead of\n{expected}"));
    }
    Ok(())
}

/// The folders that hold `model.rs` files, by package: these packages have
/// models to check.
pub(crate) fn packages_with_models(workspace: &Workspace) -> Result<Vec<&str>, String> {
    let files = workspace.files_with("rs")?;
    let mut packages = Vec::new();
    for package in &workspace.packages {
        let Some(folder) = package
            .manifest
            .parent()
            .and_then(|folder| folder.strip_prefix(&workspace.root).ok())
        else {
            continue;
        };
        let has_model = files.iter().any(|file| {
            file.starts_with(folder)
                && file.components().any(|part| {
                    let part = part.as_os_str();
                    part == "model.rs" || part == "model"
                })
                && fs::metadata(workspace.root.join(file)).is_ok_and(|file| file.len() > 0)
        });
        if has_model {
            packages.push(package.name.as_str());
        }
    }
    Ok(packages)
}
