//! What the manifests say: layers, runtimes, inherited settings.

use crate::tidy::Findings;
use crate::tidy::layers::{CRATES, RUNTIMES, TOKIO_RUNTIME_FEATURES};
use crate::workspace::{Dependency, Package, Workspace, read};

const BENCH: &str = "tapio-bench";

/// Lines that every member's manifest has, so that one place decides for all.
const INHERITED: &[(&str, &str)] = &[
    ("edition", "edition.workspace = true"),
    ("rust-version", "rust-version.workspace = true"),
    ("licence", "license.workspace = true"),
    ("lints", "[lints]\nworkspace = true"),
];

pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) -> Result<(), String> {
    for package in &workspace.packages {
        let text = read(&package.manifest)?;
        for (what, line) in INHERITED {
            if !text.contains(line) {
                findings.error(format!(
                    "{}: does not inherit its {what} (`{line}`)",
                    package.name
                ));
            }
        }
        check_layer(package, findings);
        for dependency in &package.dependencies {
            check_runtime(package, dependency, findings);
        }
    }
    Ok(())
}

fn check_layer(package: &Package, findings: &mut Findings) {
    let Some((_, allowed)) = CRATES.iter().find(|(name, _)| *name == package.name) else {
        findings.error(format!(
            "{}: has no row in xtask/src/tidy/layers.rs",
            package.name
        ));
        return;
    };
    for dependency in &package.dependencies {
        let name = dependency.package.as_str();
        if dependency.is_local && !allowed.contains(&name) {
            findings.error(format!(
                "{}: may not depend on {name}, which is above it or beside it",
                package.name
            ));
        }
    }
}

fn check_runtime(package: &Package, dependency: &Dependency, findings: &mut Findings) {
    if package.name == BENCH {
        return;
    }
    let name = dependency.package.as_str();
    if RUNTIMES.contains(&name) {
        findings.error(format!(
            "{}: depends on {name}, which only {BENCH} may",
            package.name
        ));
    }
    if name != "tokio" {
        return;
    }
    for feature in &dependency.features {
        if TOKIO_RUNTIME_FEATURES.contains(&feature.as_str()) {
            findings.error(format!(
                "{}: asks tokio for `{feature}`, which compiles a part of its runtime",
                package.name
            ));
        }
    }
    if dependency.default_features {
        findings.error(format!(
            "{}: takes tokio with its default features",
            package.name
        ));
    }
}
