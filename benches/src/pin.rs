//! Where a process runs, and before whom: server and load must not share a core, or the load comes
//! first.
#![expect(unsafe_code, reason = "rustix cannot choose a scheduling policy")]

use std::{fs, str::FromStr};

use rustix::{
    process::{Resource, Rlimit, getpriority_process, getrlimit, nice, setrlimit, setsid},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// The place of whatever is measured, among the cores that are allowed.
pub(crate) const MEASURED: usize = 0;
/// The place of the load generator.
pub(crate) const LOAD: usize = 1;

/// Where among the allowed cores a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On one of them.
    Core(usize),
    /// On all of them, wherever the kernel puts it.
    All,
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "all" => Ok(Self::All),
            _ => text.parse().map(Self::Core).map_err(drop),
        }
    }
}

/// Binds the calling thread, and every thread it starts later, to the core at
/// `place` among those that it may use. Where there are fewer, they are shared,
/// which the document says by the number of cores.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn to_core(place: Place) -> Result<(), String> {
    let Place::Core(place) = place else {
        return Ok(());
    };
    let cores = allowed();
    let Some(&core) = cores.get(place % cores.len().max(1)) else {
        return Err(String::from("no core is allowed"));
    };
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).map_err(|error| format!("binding to core {core}: {error}"))
}

/// The cores that this process may use.
pub(crate) fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect()
}

/// The priority of [`go_first`], which the processes of the trials inherit.
const FIRST: i32 = -20;

/// Puts this process before the others that want its core.
///
/// # Errors
/// It takes a privilege that this process does not have.
pub(crate) fn go_first() -> Result<(), String> {
    nice(FIRST)
        .map(drop)
        .map_err(|error| format!("raising the priority: {error}"))
}

/// Completes [`go_first`] in a process that was started by one that did it.
///
/// Where the kernel shares the cores out between sessions first (autogroups), a
/// priority counts only within a session. So the process begins one of its own
/// and raises that. The parent does not, to stay within reach of the terminal.
pub(crate) fn go_first_if_inherited() {
    if getpriority_process(None) == Ok(FIRST) && setsid().is_ok() {
        // Without autogroups there is no such file and no need for it.
        let _ = fs::write("/proc/self/autogroup", FIRST.to_string());
    }
}

/// Puts the calling thread before every ordinary thread on its core, as if it ran on another
/// machine: for a load generator that shares a core with the server. It must sleep, or nobody else
/// runs there.
///
/// Where that is not permitted it stays as it is, and its own lateness, which is reported, says so.
pub(crate) fn go_before_the_server() {
    let least = libc::sched_param { sched_priority: 1 };
    // SAFETY: `least` is a local that the call only reads; 0 is the calling thread.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const least) };
}

/// Allows as many descriptors as the hard limit does: thousands of connections
/// are held open. A refusal shows when the connections are opened.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{Place, allowed, to_core};

    #[test]
    fn reads_a_place() {
        assert_eq!("1".parse(), Ok(Place::Core(1)));
        assert_eq!("all".parse(), Ok(Place::All));
        assert_eq!("some".parse::<Place>(), Err(()));
    }

    #[test]
    fn binds_one_thread_to_one_of_its_cores() {
        let before = allowed();
        let bound = thread::spawn(|| {
            to_core(Place::Core(0)).unwrap();
            let first = allowed();
            // There is only one left, so any place is that one.
            to_core(Place::Core(1)).unwrap();
            (first, allowed())
        });
        let (first, second) = bound.join().unwrap();
        assert_eq!(first, [before[0]]);
        assert_eq!(second, first);
        assert_eq!(allowed(), before, "other threads stay free");
    }
}
