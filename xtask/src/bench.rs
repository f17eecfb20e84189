//! `cargo xtask bench`: builds the benchmark crate and runs its suite.
//!
//! The work is in `benches/`; here is only what has to be known before it can be
//! built: which peers to compile, and which of them are programs of their own.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
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
cargo xtask bench [workload…] [--rounds N] [--secs S] [--peers a,b] [--case TEXT] [--rate R]
                       [--quick] [--no-docs] [--high-priority]

workloads: echo, http, spawn, yield, ping_pong, timers, idle, stall, guard, chat; none means all
--peers    only these (and only these are compiled); `tokio-mt1,floor-epoll`, say
--case     only the cases with this in their names; writes no document
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
    let build = Build {
        root,
        target: env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from),
        args: &args,
    };
    let programs = build.programs()?;
    let mut command = build.cargo("run", &build.features());
    command
        .args(["--", "suite"])
        .args(&args)
        .args(["--programs", &programs.join(",")])
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

/// What is to be built, for what was asked for on the command line.
struct Build<'a> {
    root: &'a Path,
    target: PathBuf,
    args: &'a [String],
}

impl Build<'_> {
    /// Builds the peers that are programs of their own and gives `NAME=PATH` for each.
    ///
    /// # Errors
    /// One of our own does not build. What others' tools refuse is left out, with a word; the suite
    /// says of such a peer that it is missing.
    fn programs(&self) -> Result<Vec<String>, String> {
        let mut programs = Vec::new();
        let mut add = |name: &str, path: PathBuf| {
            programs.push(format!("{name}={}", path.display()));
        };
        let (stall, chat) = (section(self.args, "stall"), section(self.args, "chat"));
        if stall && peer(self.args, "go") {
            let path = self.target.join("release/tapio-bench-go");
            match self.go(&path) {
                Ok(()) => add("go", path),
                Err(reason) => eprintln!("without the peer go: {reason}"),
            }
        }
        let eager_chat = chat && peer(self.args, "hangout-tokio-eager");
        if stall && peer(self.args, "tokio-eager") || eager_chat {
            match self.eager() {
                Ok(()) => {
                    let release = self.eager_target().join("release");
                    add("tokio-eager", release.join("tapio-bench"));
                    add("hangout-tokio-eager", release.join("hangout-tokio"));
                }
                Err(reason) => eprintln!("without tokio's eager driver hand-off: {reason}"),
            }
        }
        if chat {
            let release = self.target.join("release");
            let mut hangout = Command::new(cargo());
            hangout.current_dir(self.root);
            hangout.args(["build", "--quiet", "--release", "--package", "hangout"]);
            finish(&mut hangout)?;
            add("hangout", release.join("hangout"));
            let mut tokio = self.cargo("build", &self.features());
            finish(tokio.args(["--bin", "hangout-tokio"]))?;
            add("hangout-tokio", release.join("hangout-tokio"));
        }
        Ok(programs)
    }

    fn go(&self, path: &Path) -> Result<(), String> {
        let mut go = Command::new("go");
        go.current_dir(self.root.join("benches/peers-go"));
        finish(go.args(["build", "-o"]).arg(path).arg("."))
            .map_err(|error| format!("{error}; on Debian, `apt-get install golang-go`"))
    }

    /// The eager hand-off is behind a flag that changes tokio as a whole, hence a directory of its
    /// own: with the other peers' it would be built anew each time.
    fn eager(&self) -> Result<(), String> {
        let mut flags = env::var_os("RUSTFLAGS").unwrap_or_default();
        flags.push(" --cfg tokio_unstable");
        let features = ["--no-default-features", "--features", "chat,tokio-peer"];
        let mut build = self.cargo("build", &features.map(str::to_owned));
        build.env("RUSTFLAGS", flags);
        finish(
            build
                .arg("--bins")
                .arg("--target-dir")
                .arg(self.eager_target()),
        )
    }

    fn eager_target(&self) -> PathBuf {
        self.target.join("tokio-eager")
    }

    fn cargo(&self, verb: &str, features: &[String]) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(self.root);
        command.args([verb, "--quiet", "--release", "--package", "tapio-bench"]);
        command.args(features);
        command
    }

    /// The flags for the peers that were asked for, the same for every program of the package: then
    /// what they are built from is built once.
    fn features(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let chosen = features(self.args);
        if chosen.is_some() {
            flags.push("--no-default-features".to_owned());
        }
        let mut features = chosen.unwrap_or_default();
        if section(self.args, "chat") {
            features.push("chat");
        }
        if !features.is_empty() {
            flags.extend(["--features".to_owned(), features.join(",")]);
        }
        flags
    }
}

fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs `command` to its end.
fn finish(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name} ended with {status}")),
        Err(error) => Err(format!("starting {name}: {error}")),
    }
}

/// Flags that take no value.
const FLAGS: &[&str] = &["--quick", "--no-docs", "--high-priority", "--list"];

/// Whether the section `name` is to be measured: it is named, or none is.
fn section(args: &[String], name: &str) -> bool {
    let mut words = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if !arg.starts_with("--") {
            words.push(arg);
        } else if !FLAGS.contains(&arg.as_str()) {
            args.next();
        }
    }
    words.is_empty() || words.iter().any(|word| *word == name)
}

/// Whether the peer `name` is to be measured: it is named, or none is.
fn peer(args: &[String], name: &str) -> bool {
    peers(args).is_none_or(|peers| peers.contains(&name))
}

fn peers(args: &[String]) -> Option<Vec<&str>> {
    let at = args.iter().position(|arg| arg == "--peers")?;
    Some(args.get(at + 1)?.split(',').collect())
}

/// The features for the peers that were asked for; `None` means all.
fn features(args: &[String]) -> Option<Vec<&'static str>> {
    let mut features = Vec::new();
    for peer in peers(args)? {
        let needed = FEATURES.iter().find(|(name, _)| peer.starts_with(name));
        features.extend(needed.map(|(_, feature)| *feature));
    }
    features.dedup();
    Some(features)
}

#[cfg(test)]
mod tests {
    use super::{features, peer, section};

    fn args(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn of(line: &str) -> Option<String> {
        Some(features(&args(line))?.join(","))
    }

    #[test]
    fn programs_are_built_for_the_sections_that_need_them() {
        for (line, stall, chat) in [
            ("", true, true),
            ("--quick", true, true),
            ("--case stall --rounds 3", true, true),
            ("echo --rounds 3", false, false),
            ("--no-docs stall", true, false),
            ("--peers stall chat", false, true),
        ] {
            let args = args(line);
            let found = (section(&args, "stall"), section(&args, "chat"));
            assert_eq!(found, (stall, chat), "{line}");
        }
        assert!(peer(&args("stall"), "go"));
        assert!(peer(&args("stall --peers tapio-mt2,go"), "go"));
        assert!(!peer(&args("stall --peers tapio-mt2"), "go"));
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
