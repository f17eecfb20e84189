//! Tasks that are not `Send` cannot be taken from a stuck thread: the report
//! names them.

use std::future::pending;
use std::panic::Location;
use std::sync::mpsc;

use tapio::guard::{Culprit, Report, Stall, on_report};
use tapio::task::{self, LocalSet};

use crate::support::{Kind, runtimes};

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

/// The report of the stall of a task that was spawned at `line` of this file.
fn reported(line: u32) -> (mpsc::Receiver<Stall>, tapio::guard::Subscription) {
    let (sender, receiver) = mpsc::channel();
    let subscription = on_report(move |report| {
        if let Report::Stall(stall) = report
            && let Culprit::Task(task) = &stall.culprit
            && (task.spawned_at.file(), task.spawned_at.line()) == (file!(), line)
            // Of one before it may be said that it goes on.
            && !stall.was_reported
        {
            // The test that wanted it may be over.
            let _ = sender.send(stall.clone());
        }
    });
    (receiver, subscription)
}

#[test]
fn a_report_names_the_tasks_that_cannot_leave_a_stuck_thread() {
    for (kind, runtime) in runtimes() {
        let set = LocalSet::new();
        set.block_on(&runtime, async {
            let waits: Vec<_> = (0..3).map(|_| task::spawn_local(pending::<()>())).collect();
            let waits_at = here().line() - 1;
            let stuck_at = here().line() + 2;
            let (stalls, _listening) = reported(stuck_at);
            let stuck = task::spawn_local(async move { stalls.recv().expect("a report") });
            let stall = stuck.await.expect("it came back");
            let [(site, count)] = stall.pinned[..] else {
                panic!("{kind}: {stall}");
            };
            assert_eq!((site.line(), count), (waits_at, 3), "{kind}: {stall}");
            assert!(stall.to_string().contains("3 tasks"), "{kind}: {stall}");
            waits.iter().for_each(task::JoinHandle::abort);
        });
    }
}

#[test]
fn tasks_that_can_leave_are_not_named() {
    for (kind, runtime) in runtimes().filter(|(kind, _)| kind.workers.is_some()) {
        let waits: Vec<_> = (0..3).map(|_| runtime.spawn(pending::<()>())).collect();
        let stuck_at = here().line() + 2;
        let (stalls, _listening) = reported(stuck_at);
        let stuck = runtime.spawn(async move { stalls.recv().expect("a report") });
        let stall = runtime.block_on(stuck).expect("it came back");
        assert!(stall.pinned.is_empty(), "{kind}: {stall}");
        waits.iter().for_each(task::JoinHandle::abort);
    }
    assert!(!Kind::all().is_empty());
}
