//! How loud a report is in the log.

use std::fmt::{Debug, Write};
use std::hint::black_box;
use std::process::{self, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tapio::guard::{Report, on_report};
use tapio::runtime::Builder;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::child::in_child;
use crate::rig::Kind;

const LIMIT: Duration = Duration::from_secs(60);

/// A log that hands over what the guard says, with its level.
struct Log(mpsc::Sender<(Level, String)>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").expect("a string");
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tapio::guard"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let _ = self.0.send((*event.metadata().level(), message.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An error without a text.
struct Own;

#[test]
fn a_lost_error_is_a_warning_and_an_unread_result_is_not() {
    let name = "levels::a_lost_error_is_a_warning_and_an_unread_result_is_not";
    in_child(name, || {
        let (give, said) = mpsc::channel();
        tracing::subscriber::set_global_default(Log(give)).expect("the first one");
        // Each is reported while its task ends.
        for (level, may_be_fine) in [(Level::INFO, true), (Level::WARN, false)] {
            let runtime = Builder::new_current_thread().build().expect("a runtime");
            if may_be_fine {
                drop(runtime.spawn(async { Ok::<(), Own>(()) }));
            } else {
                drop(runtime.spawn(async { Err::<(), _>("lost") }));
            }
            while runtime.metrics().num_alive_tasks() > 0 {
                runtime.block_on(tapio::task::yield_now());
            }
            let said: Vec<Level> = said.try_iter().map(|(level, _)| level).collect();
            assert_eq!(said, [level]);
        }
    });
}

/// Computes until the guard has reported it.
fn be_reported(is_reported: &AtomicBool) {
    while black_box(!is_reported.load(Ordering::Acquire)) {}
}

#[test]
fn a_stall_that_nobody_waits_for_is_no_warning() {
    let name = "levels::a_stall_that_nobody_waits_for_is_no_warning";
    in_child(name, || {
        let (give, said) = mpsc::channel();
        tracing::subscriber::set_global_default(Log(give)).expect("the first one");
        let said = || said.recv_timeout(LIMIT).expect("it is said");
        // A thread that blocks on a future where workers run the tasks.
        let kinds = Kind::all().into_iter();
        for kind in kinds.filter(|kind| kind.workers.is_some()) {
            let is_reported = Arc::new(AtomicBool::new(false));
            let tell = Arc::clone(&is_reported);
            let _reports = on_report(move |report| {
                if let Report::Stall(_) = report {
                    tell.store(true, Ordering::Release);
                }
            });
            let runtime = kind.build();
            runtime.block_on(async { be_reported(&is_reported) });
            for _ in ["begin", "end"] {
                let (level, text) = said();
                assert_eq!(level, Level::INFO, "{kind}: {text}");
                let is_end = text.contains(" over after ");
                assert!(is_end || text.contains("\n  nothing else waits"), "{text}");
                assert!(!text.contains("help"), "{kind}: {text}");
            }
            is_reported.store(false, Ordering::Release);
            let seen = Arc::clone(&is_reported);
            let task = runtime.spawn(async move { be_reported(&seen) });
            runtime.block_on(task).expect("no panic");
            let (level, text) = said();
            assert_eq!(level, Level::WARN, "{kind}: {text}");
            assert!(text.contains("\n  rescued: "), "{kind}: {text}");
            assert_eq!(said().0, Level::WARN, "{kind}: its end");
        }
    });
}

/// Has a task be stuck, and this process be stopped meanwhile, once that is
/// reported; how long it says that it was stuck, and the guard.
fn lengths(kind: Kind) -> (Duration, Duration) {
    let (give, ends) = mpsc::channel();
    let (resume, resumed) = mpsc::channel();
    let _reports = on_report(move |report| match report {
        Report::Stall(stall) if !stall.was_reported => {
            let stop = format!("kill -STOP {0}; sleep 0.3; kill -CONT {0}", process::id());
            let mut shell = Command::new("sh");
            let stopping = shell.args(["-c", &stop]).status().expect("a shell");
            assert!(stopping.success());
            resume.send(()).expect("the task waits");
        }
        Report::StallEnded(end) => give.send(end.lasted).expect("it is awaited"),
        _ => {}
    });
    let runtime = kind.build();
    let stuck = runtime.spawn(async move {
        let begin = Instant::now();
        resumed.recv().expect("it goes on");
        thread::sleep(Duration::from_millis(500));
        begin.elapsed()
    });
    let stuck = runtime.block_on(stuck).expect("no panic");
    (stuck, ends.recv_timeout(LIMIT).expect("it is reported"))
}

#[test]
fn how_long_a_stall_was_is_told_by_the_clock() {
    in_child("levels::how_long_a_stall_was_is_told_by_the_clock", || {
        for kind in Kind::all() {
            // The guard does not see all of it, as on a machine that is too
            // busy.
            let (stuck, told) = lengths(kind);
            // It may have begun some looks before it was seen.
            assert!(told * 10 >= stuck * 9, "{kind}: {told:?} of {stuck:?}");
            // And is seen to end when the guard has a CPU again.
            assert!(told <= stuck * 2, "{kind}: {told:?} of {stuck:?}");
        }
    });
}
