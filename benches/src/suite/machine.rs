//! Where it was measured, and what.

use std::{fs, path::Path, process::Command};

use crate::{peers, pin};

/// The machine in one line.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    // The model alone says little when a hypervisor hides its name.
    let number = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model\t\t: "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let guest = if cpu.contains(" hypervisor") {
        ", virtual machine"
    } else {
        ""
    };
    format!(
        "{} (model {}), {} cores{guest}, Linux {}",
        model.unwrap_or("unknown CPU").trim(),
        number.unwrap_or("unknown"),
        pin::allowed().len(),
        kernel.trim()
    )
}

/// What else the machine was doing: its load average over the last minute.
pub(crate) fn load_average() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The versions of the peers in this build, from the lock file.
pub(crate) fn versions(root: &Path) -> String {
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    let mut packages: Vec<&str> = peers::ALL.iter().map(|peer| peer.package).collect();
    packages.push("hyper");
    let mut seen: Vec<&str> = Vec::new();
    for package in packages {
        if !package.is_empty() && !seen.contains(&package) {
            seen.push(package);
        }
    }
    let version = |package: &&str| format!("{package} {}", locked(&lock, package));
    seen.iter().map(version).collect::<Vec<_>>().join(", ")
}

/// The commit that was measured.
pub(crate) fn revision(root: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(args)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return String::from("unknown");
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "crates"]);
    match changed.as_deref() {
        Some("") => commit,
        _ => format!("{commit} with changes"),
    }
}

/// The highest locked version of `package`.
fn locked(lock: &str, package: &str) -> String {
    let name = format!("name = \"{package}\"");
    let mut versions: Vec<(Vec<u64>, &str)> = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        if line != name {
            continue;
        }
        if let Some(version) = lines
            .next()
            .and_then(|line| line.strip_prefix("version = \""))
        {
            let version = version.trim_end_matches('"');
            versions.push((
                version
                    .split('.')
                    .map_while(|part| part.parse().ok())
                    .collect(),
                version,
            ));
        }
    }
    versions
        .iter()
        .max()
        .map_or("of unknown version", |(_, version)| *version)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::locked;

    #[test]
    fn takes_the_highest_version_by_number() {
        let lock = "[[package]]\nname = \"io-uring\"\nversion = \"0.6.4\"\n\n\
            [[package]]\nname = \"io-uring\"\nversion = \"0.10.1\"\n\
            [[package]]\nname = \"tokio\"\nversion = \"1.54.1\"\n";
        assert_eq!(locked(lock, "io-uring"), "0.10.1");
        assert_eq!(locked(lock, "tokio"), "1.54.1");
        assert_eq!(locked(lock, "tok"), "of unknown version");
    }
}
