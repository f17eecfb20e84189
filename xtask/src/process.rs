//! Ending a child and everything it started, and the limits children get.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// Kills a process and all its descendants.
///
/// `cargo` leaves a hung test program running when it is killed itself, and
/// that program would keep our pipe open.
pub(crate) fn kill_tree(pid: u32) {
    for child in children(pid) {
        kill_tree(child);
    }
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself in the meantime, which is as good.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The processes whose parent is `pid`.
fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|candidate| parent(*candidate) == Some(pid))
        .collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; after it come state and parent.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// Lifts the limit of open files to what the system allows, for us and the
/// children: tests with a thousand connections need two descriptors for each.
pub(crate) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if setrlimit(Resource::Nofile, raised).is_err() {
        println!("note: the limit of open files stays at {:?}", limit.current);
    }
}
