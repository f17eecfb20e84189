//! What the first report costs in memory, at its worst and for good.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tapio::guard::{Report, on_report};

use crate::child::in_child;
use crate::rig::{Kind, assert_works};

/// What may be left of a report, and what it may take for a moment: this
/// program has more than a hundred megabytes of debug information.
const LASTING_KIB_MAX: u64 = 15 << 10;
const PEAK_KIB_MAX: u64 = 64 << 10;
const LIMIT: Duration = Duration::from_secs(60);

/// A line of this process's status, in KiB.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.unwrap_or_else(|| panic!("{name} is not in {status}"))
}

#[test]
fn the_first_report_needs_little_memory_and_gives_it_back() {
    let name = "memory::the_first_report_needs_little_memory_and_gives_it_back";
    in_child(name, || {
        let kind = Kind::all()[0];
        let runtime = kind.build();
        assert_works(&runtime);
        let before = status("VmRSS");
        // The peak counts from here.
        fs::write("/proc/self/clear_refs", "5").expect("/proc is mounted");
        let (give, stalls) = mpsc::channel();
        let _reports = on_report(move |report| {
            if let Report::Stall(stall) = report {
                give.send(stall.to_string()).expect("it is awaited");
            }
        });
        runtime.block_on(async {
            let stall = tapio::spawn(async move {
                // Stuck until it is reported.
                stalls.recv_timeout(LIMIT).expect("a report")
            });
            let text = stall.await.expect("no panic");
            assert!(text.contains("memory.rs:"), "{text}");
        });
        let peak = status("VmHWM") - before;
        assert!(peak < PEAK_KIB_MAX, "{peak} KiB for a moment");
        let begin = Instant::now();
        while status("VmRSS") > before + LASTING_KIB_MAX {
            let left = status("VmRSS") - before;
            assert!(begin.elapsed() < LIMIT, "{left} KiB for good");
            thread::sleep(Duration::from_millis(20));
        }
        assert_works(&runtime);
    });
}
