//! `cargo xtask bench`: builds the benchmark crate and runs its suite.
//!
//! The work is in `benches/`; here is only what has to be known before it can be
//! built: which peers to compile.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// The peers by the beginning of their names, and the features that bring them.
const FEATURES: &[(&str, &str)] = &[
    ("compio", "compio-peer"),
    ("glommio", "glommio-peer"),
    ("monoio", "monoio-peer"),
    ("smol", "smol-peer"),
    ("tapio", "tapio-peer"),
    ("tokio", "tokio-peer"),
];

const USAGE: &str = "\
cargo xtask bench [workload…] [--rounds N] [--secs S] [--peers a,b] [--rate R] [--quick] [--no-docs]
                       [--high-priority]

workloads: echo, http, spawn, yield, ping_pong, timers, idle, stall; none means all
--peers    only these (and only these are compiled); `tokio-mt1,floor-epoll`, say
--rate     requests per second of the half-load case, instead of half of what the epoll floor does
--high-priority  what is measured goes before other processes (as root), for a busy machine
--quick    one short round to see whether everything runs; writes no document
--no-docs  prints the tables and leaves docs/benchmarks.md alone";

/// Runs `cargo xtask bench` with the arguments after `bench`.
///
/// # Errors
/// The benchmarks do not build, or the suite refused an argument.
pub(crate) fn run(args: Vec<String>) -> Result<(), String> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        eprintln!("{USAGE}");
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("xtask has no parent")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["run", "--quiet", "--release", "--package", "tapio-bench"]);
    if let Some(features) = features(&args) {
        command.args(["--no-default-features", "--features", &features]);
    }
    command
        .args(["--", "suite"])
        .args(&args)
        .arg("--root")
        .arg(root);
    command.args([
        "--command",
        &format!("cargo xtask bench {}", args.join(" ")),
    ]);
    let status = command.stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the benchmarks ended with {status}")),
        Err(error) => Err(format!("starting cargo: {error}")),
    }
}

/// The features for the peers that were asked for; `None` means all.
fn features(args: &[String]) -> Option<String> {
    let at = args.iter().position(|arg| arg == "--peers")?;
    let peers = args.get(at + 1)?;
    let mut features = Vec::new();
    for peer in peers.split(',') {
        let needed = FEATURES.iter().find(|(name, _)| peer.starts_with(name));
        features.extend(needed.map(|(_, feature)| *feature));
    }
    features.dedup();
    Some(features.join(","))
}

#[cfg(test)]
mod tests {
    use super::features;

    fn of(line: &str) -> Option<String> {
        features(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn only_what_was_asked_for_is_compiled() {
        assert_eq!(of("echo --rounds 3"), None);
        assert_eq!(
            of("echo --peers tokio,tokio-mt1").as_deref(),
            Some("tokio-peer")
        );
        assert_eq!(of("--peers floor-epoll,smol").as_deref(), Some("smol-peer"));
    }
}
