//! Whatever refuses a ring for operations: the program runs, one line says why
//! when it is first asked for, and so do the metrics.

use std::ffi::OsStr;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use libc::{SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup};
use rustix::process::Resource;
use tapio::runtime::{Builder, DriverKind};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::child::in_children;
use crate::limits::{give_up_root, limit};
use crate::rig::{Kind, assert_works};
use crate::seccomp::refuse;

const DRIVER: &str = "TAPIO_DRIVER";
const WITHOUT: &str = "TAPIO_RING_WITHOUT";

/// The lines that a user sees: information and worse.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Listens to every thread of the process.
    fn of_process() -> Log {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.clone()).expect("the only one");
        log
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!("{}:", event.metadata().level()));
        event.record(&mut line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {value:?}");
    }
}

/// Builds runtimes of both flavours that are refused a ring, and makes sure
/// that they work and say so once, with all of `words`.
fn assert_said_and_harmless(log: &Log, words: &[&str]) {
    for workers in [None, Some(2)] {
        for prefers_ring in [true, false] {
            let driver = DriverKind::Ring;
            let mut builder = Kind { driver, workers }.builder();
            if !prefers_ring {
                // As a program that says nothing about drivers.
                builder = match workers {
                    None => Builder::new_current_thread(),
                    Some(_) => Builder::new_multi_thread(),
                };
                builder.enable_all();
            }
            log.take();
            let runtime = builder.build().expect("a runtime all the same");
            assert_works(&runtime);
            let metrics = runtime.metrics();
            assert_eq!(metrics.driver(), DriverKind::Poll);
            let why = metrics.driver_refusal().expect("it says why");
            drop(runtime);
            let lines = log.take();
            let [line] = &lines[..] else {
                panic!("one line says it, not these: {lines:#?}");
            };
            for word in words.iter().chain(&["WARN", "poll", "io_uring", &why]) {
                assert!(line.contains(word), "`{word}` is missing: {line}");
            }
        }
    }
}

#[test]
fn a_filter_is_named_and_harmless() {
    let name = "refusal::a_filter_is_named_and_harmless";
    in_children(name, &[&[(DRIVER, None)]], || {
        let log = Log::of_process();
        for (call, step) in [
            (SYS_io_uring_setup, "io_uring_setup"),
            (SYS_io_uring_register, "io_uring_register"),
            (SYS_io_uring_enter, "io_uring_enter"),
        ] {
            for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
                let log = log.clone();
                let refused = thread::spawn(move || {
                    refuse(&[call], errno);
                    let errno = format!("(os error {errno})");
                    assert_said_and_harmless(&log, &[step, &errno]);
                });
                refused.join().expect("it runs without a ring");
            }
        }
    });
}

#[test]
fn a_missing_ability_is_named_and_harmless() {
    let abilities = ["setup", "no-drop", "open", "read", "write", "async-cancel"];
    let environments =
        abilities.map(|ability| [(DRIVER, None), (WITHOUT, Some(OsStr::new(ability)))]);
    let environments: Vec<_> = environments.iter().map(|pairs| &pairs[..]).collect();
    let name = "refusal::a_missing_ability_is_named_and_harmless";
    in_children(name, &environments, || {
        let ability = std::env::var(WITHOUT).expect("set by the parent");
        assert_said_and_harmless(&Log::of_process(), &[&ability]);
    });
}

#[test]
fn too_little_memory_is_named_and_harmless() {
    let name = "refusal::too_little_memory_is_named_and_harmless";
    in_children(name, &[&[(DRIVER, None)]], || {
        limit(Resource::Memlock, 0);
        give_up_root();
        let built = Builder::new_current_thread().build().expect("a runtime");
        if built.metrics().driver() == DriverKind::Ring {
            // This kernel charges rings elsewhere; the driver's own test of
            // the limit says that it was skipped.
            return;
        }
        drop(built);
        let words = ["io_uring_setup", "Cannot allocate memory (os error 12)"];
        assert_said_and_harmless(&Log::of_process(), &words);
    });
}

#[test]
fn readiness_that_was_asked_for_is_no_refusal() {
    let name = "refusal::readiness_that_was_asked_for_is_no_refusal";
    in_children(name, &[&[(DRIVER, Some(OsStr::new("poll")))]], || {
        let log = Log::of_process();
        for builder in [Builder::new_current_thread, Builder::new_multi_thread] {
            let runtime = builder().enable_all().build().expect("a runtime");
            assert_works(&runtime);
            assert_eq!(runtime.metrics().driver(), DriverKind::Poll);
            assert_eq!(runtime.metrics().driver_refusal(), None);
        }
        assert_eq!(log.take(), [""; 0], "nothing to say");
    });
}

#[test]
fn a_variable_that_makes_no_sense_is_an_error() {
    let name = "refusal::a_variable_that_makes_no_sense_is_an_error";
    let environments: [&[_]; 2] = [
        &[(DRIVER, Some(OsStr::new("kqueue"))), (WITHOUT, None)],
        &[(DRIVER, None), (WITHOUT, Some(OsStr::new("magic")))],
    ];
    in_children(name, &environments, || {
        let variable = match std::env::var_os(DRIVER) {
            Some(_) => DRIVER,
            None => WITHOUT,
        };
        for builder in [Builder::new_current_thread, Builder::new_multi_thread] {
            let error = builder().build().expect_err("it makes no sense");
            assert!(error.to_string().contains(variable), "{error}");
        }
    });
}
