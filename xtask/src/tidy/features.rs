//! The feature graph: what `tapio` with `full` compiles of tokio.

use std::process::Stdio;

use crate::command::cargo_command;
use crate::tidy::Findings;
use crate::tidy::layers::{RUNTIMES, TOKIO_RUNTIME_FEATURES};
use crate::workspace::Workspace;

/// Asks cargo for the graph of `tapio` with its feature `full` and looks for
/// anything of a runtime other than ours.
pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) -> Result<(), String> {
    let tree = [
        "tree",
        "-p",
        "tapio",
        "-e",
        "features,normal",
        // Without `compat`, whose purpose is to bring tokio's runtime in.
        "--features",
        "full",
        "--prefix",
        "none",
    ];
    let output = cargo_command(workspace, tree)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo tree failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    for found in intruders(&String::from_utf8_lossy(&output.stdout)) {
        findings.error(format!(
            "tapio: its feature graph contains {found}; see `cargo tree -p tapio --features full -e features,normal`"
        ));
    }
    Ok(())
}

/// The lines of a feature graph that name a part of another runtime.
fn intruders(tree: &str) -> Vec<String> {
    let mut found: Vec<String> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let package = words.next()?;
            if RUNTIMES.contains(&package) {
                return Some(package.to_owned());
            }
            // A feature reads: tokio feature "rt".
            let is_feature = package == "tokio" && words.next() == Some("feature");
            let feature = words.next()?.trim_matches('"');
            let is_runtime = is_feature && TOKIO_RUNTIME_FEATURES.contains(&feature);
            is_runtime.then(|| format!("tokio's feature `{feature}`"))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::intruders;

    #[test]
    fn parts_of_a_runtime_are_found() {
        let tree = "tapio v0.1.0 (crates/tapio)\ntokio feature \"io-util\"\ntokio v1.52.0\n\
                    tokio feature \"rt\"\ntokio feature \"rt\" (*)\nmio v1.2.0\n";
        assert_eq!(intruders(tree), ["mio", "tokio's feature `rt`"]);
    }
}
