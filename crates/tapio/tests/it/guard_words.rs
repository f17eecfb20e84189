//! Whose a stall is, in words that somebody can act on.
//!
//! Each stall here ends when its report has come, and not before.

use std::hint::black_box;
use std::io::{BufWriter, Read, Write};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tapio::guard::{Culprit, Report, Stall, StallEnded, Subscription, on_report};
use tapio::promise::promise;
use tapio::runtime::Runtime;
use tapio::task;

use crate::support::Kind;

const LIMIT: Duration = Duration::from_secs(60);

/// Listens for the stalls of one runtime.
struct Ear {
    is_open: Arc<AtomicBool>,
    stalls: mpsc::Receiver<Stall>,
    ends: mpsc::Receiver<StallEnded>,
    _reports: Subscription,
}

impl Ear {
    fn new(name: &str) -> Ear {
        let (give_stall, stalls) = mpsc::channel();
        let (give_end, ends) = mpsc::channel();
        let is_open = Arc::new(AtomicBool::new(false));
        let (name, opened) = (name.to_owned(), Arc::clone(&is_open));
        let numbers = Mutex::new(Vec::new());
        let _reports = on_report(move |report| match report {
            Report::Stall(stall) if stall.runtime.as_deref() == Some(&name) => {
                numbers.lock().unwrap().push(stall.number);
                let _ = give_stall.send(stall.clone());
                opened.store(true, Ordering::Release);
            }
            Report::StallEnded(end) if numbers.lock().unwrap().contains(&end.number) => {
                let _ = give_end.send(end.clone());
            }
            _ => {}
        });
        Ear {
            is_open,
            stalls,
            ends,
            _reports,
        }
    }

    /// Computes until there is a report.
    fn keep(&self) -> impl FnOnce() + Send + 'static {
        let is_open = Arc::clone(&self.is_open);
        move || while black_box(!is_open.load(Ordering::Acquire)) {}
    }

    fn stall(&self) -> Stall {
        self.stalls.recv_timeout(LIMIT).expect("a report")
    }
}

fn runtime(kind: Kind, name: &str) -> (Runtime, Ear) {
    let name = format!("guard_words, {name}, {kind}");
    let ear = Ear::new(&name);
    let runtime = kind.builder().enable_all().name(&*name).build().unwrap();
    (runtime, ear)
}

/// The next line of this file.
#[track_caller]
fn next_line() -> u32 {
    Location::caller().line() + 1
}

fn assert_is_callback(stall: &Stall, line: u32) {
    let Culprit::Callback(at) = stall.culprit else {
        panic!("{stall}");
    };
    assert_eq!((at.file(), at.line()), (file!(), line), "{stall}");
    let text = stall.to_string();
    assert!(text.contains(": the callback given at "), "{text}");
}

#[test]
fn a_stuck_callback_is_named_by_where_it_was_given() {
    for kind in Kind::all() {
        let (runtime, ear) = runtime(kind, "promise");
        let keep = ear.keep();
        let line = runtime.block_on(async {
            let (resolver, promised) = promise::<()>();
            let line = next_line();
            promised.on_complete(move |_| keep());
            task::spawn(async move { resolver.resolve(()) });
            // A task that runs to its end behind it, wherever that is.
            task::yield_now().await;
            line
        });
        // The callback may run while the runtime is dropped.
        drop(runtime);
        assert_is_callback(&ear.stall(), line);
    }
}

#[test]
fn a_stuck_callback_of_a_task_is_not_the_task() {
    for kind in Kind::all() {
        let (runtime, ear) = runtime(kind, "task");
        let keep = ear.keep();
        let line = runtime.block_on(async {
            let task = task::spawn(async {});
            let line = next_line();
            task.on_complete(move |_| keep());
            task::yield_now().await;
            line
        });
        drop(runtime);
        assert_is_callback(&ear.stall(), line);
    }
}

/// What is dropped without any code of this file's: the standard library
/// writes what is left, to a pipe that is full.
struct Letter<const K: usize> {
    _pen: BufWriter<std::io::PipeWriter>,
}

/// A letter, and what ends its drop when `is_open` says so.
fn letter<const K: usize>(is_open: Arc<AtomicBool>) -> (Letter<K>, thread::JoinHandle<()>) {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[0; 1 << 16]).unwrap();
    let mut pen = BufWriter::new(writer);
    pen.write_all(b"the rest").unwrap();
    let opener = thread::spawn(move || {
        while !is_open.load(Ordering::Acquire) {
            thread::park_timeout(Duration::from_millis(1));
        }
        reader.read_to_end(&mut Vec::new()).unwrap();
    });
    (Letter { _pen: pen }, opener)
}

fn drop_a_letter<const K: usize>(kind: Kind) {
    let (runtime, ear) = runtime(kind, "drop");
    let (letter, opener) = letter::<K>(Arc::clone(&ear.is_open));
    let task = runtime.spawn(async move {
        let _letter = letter;
        task::yield_now().await;
    });
    runtime.block_on(task).unwrap();
    opener.join().unwrap();
    let stall = ear.stall();
    let stack = stall.stack.as_ref().expect("it was looked at");
    let top = stack
        .top_user_frame()
        .and_then(|top| top.function.as_deref());
    assert!(top.is_some_and(|top| top.contains("Letter")), "{stall}");
    let text = stall.to_string();
    assert!(
        text.contains("at drop of it::guard_words::Letter"),
        "{text}"
    );
    assert!(text.contains("system call write"), "{text}");
}

#[test]
fn a_type_that_is_dropped_is_the_code_of_its_author() {
    // Each in code of its own: a stall at the same place is only counted.
    let kinds = Kind::all().into_iter();
    let ways = [
        drop_a_letter::<0>,
        drop_a_letter::<1>,
        drop_a_letter::<2>,
        drop_a_letter::<3>,
        drop_a_letter::<4>,
        drop_a_letter::<5>,
    ];
    kinds.zip(ways).for_each(|(kind, way)| way(kind));
}

#[test]
fn a_stall_has_a_number_and_its_end_has_the_same() {
    for kind in Kind::all() {
        let (runtime, ear) = runtime(kind, "number");
        let keep = ear.keep();
        let task = runtime.spawn(async move { keep() });
        runtime.block_on(task).unwrap();
        let stall = ear.stall();
        let start = format!("stall {}: task ", stall.number);
        assert!(stall.to_string().starts_with(&start), "{stall}");
        let end = ear.ends.recv_timeout(LIMIT).expect("it ends");
        let start = format!("stall {} over after ", stall.number);
        assert!(end.to_string().starts_with(&start), "{end}");
    }
}
