//! What this process holds, as the kernel counts it.

use std::fs;

/// How many descriptors are open.
pub(crate) fn descriptors() -> usize {
    // The directory's own descriptor is in the list.
    entries("/proc/self/fd") - 1
}

/// What every open descriptor is, for the message of a test that finds one too
/// many.
pub(crate) fn describe_descriptors() -> String {
    let list = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let mut lines: Vec<String> = list
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            Some(format!(
                "{} -> {}",
                entry.file_name().display(),
                target.display()
            ))
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).expect("/proc is mounted").count()
}
