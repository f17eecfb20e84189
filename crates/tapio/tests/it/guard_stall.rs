//! A stall is named: whose it is, what it does, and the line.
//!
//! Each stall here ends when its report has come, and not before.

use std::future::poll_fn;
use std::hint::black_box;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tapio::guard::{Culprit, Report, Stall, StallCause, on_report};
use tapio::runtime::{Builder, Runtime};
use tapio::{task, time};

use crate::support::Kind;

/// What stuck code waits for: the report about it.
#[derive(Default)]
struct Gate {
    is_open: AtomicBool,
    /// The line that is stuck.
    line: AtomicU32,
    lock: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        *self.lock.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    fn wait(&self) {
        let lock = self.lock.lock().unwrap();
        drop(self.changed.wait_while(lock, |is_open| !*is_open).unwrap());
    }

    /// The code in this line is about to be stuck.
    fn stuck_in(&self, line: u32) {
        self.line.store(line, Ordering::Relaxed);
    }
}

/// A way to be stuck until the gate opens. `K` is the number of the kind of
/// runtime: each has code at addresses of its own, so that no stall is a
/// repetition of another kind's.
type Stuck = fn(&Arc<Gate>);

fn computes<const K: usize>(gate: &Arc<Gate>) {
    gate.stuck_in(line!() + 1);
    while black_box(!gate.is_open.load(Ordering::Acquire)) {}
}

fn asks_for_the_time<const K: usize>(gate: &Arc<Gate>) {
    let begin = Instant::now();
    gate.stuck_in(line!() + 1);
    while Instant::now() >= begin && black_box(!gate.is_open.load(Ordering::Acquire)) {}
}

fn sleeps<const K: usize>(gate: &Arc<Gate>) {
    while !gate.is_open() {
        gate.stuck_in(line!() + 1);
        thread::sleep(Duration::from_millis(60));
    }
}

fn reads_a_pipe<const K: usize>(gate: &Arc<Gate>) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let opened = Arc::clone(gate);
    let closer = thread::spawn(move || {
        opened.wait();
        drop(writer);
    });
    gate.stuck_in(line!() + 1);
    let count = reader.read(&mut [0; 1]).unwrap();
    assert_eq!(count, 0);
    closer.join().unwrap();
}

fn wants_a_lock<const K: usize>(gate: &Arc<Gate>) {
    let lock = Arc::new(Mutex::new(()));
    let (held, has_it) = mpsc::channel();
    let (its, opened) = (Arc::clone(&lock), Arc::clone(gate));
    let holder = thread::spawn(move || {
        let _guard = its.lock().unwrap();
        held.send(()).unwrap();
        opened.wait();
    });
    has_it.recv().unwrap();
    gate.stuck_in(line!() + 1);
    drop(lock.lock().unwrap());
    holder.join().unwrap();
}

#[inline(always)]
fn is_inlined<const K: usize>(gate: &Arc<Gate>) {
    gate.stuck_in(line!() + 1);
    while black_box(!gate.is_open.load(Ordering::Acquire)) {}
}

fn calls_what_is_inlined<const K: usize>(gate: &Arc<Gate>) {
    is_inlined::<K>(gate);
}

/// Far more stack than is copied.
const DEPTH: usize = 1_000;

fn goes_deep<const K: usize>(gate: &Arc<Gate>) {
    fn deeper<const K: usize>(gate: &Arc<Gate>, left: usize) -> usize {
        let room = black_box([left; 16]);
        if left == 0 {
            computes::<K>(gate);
            return room[0];
        }
        deeper::<K>(gate, left - 1) + black_box(room)[0]
    }
    deeper::<K>(gate, DEPTH);
}

/// Holds a way to be stuck, and is, when it is dropped.
struct StuckDrop(Stuck, Arc<Gate>);

impl Drop for StuckDrop {
    fn drop(&mut self) {
        (self.0)(&self.1);
    }
}

/// A waker that keeps whoever wakes it.
struct StuckWaker(Stuck, Arc<Gate>, Waker);

impl Wake for StuckWaker {
    fn wake(self: Arc<Self>) {
        (self.0)(&self.1);
        self.2.wake_by_ref();
    }
}

/// A name for each way in this file to be stuck.
#[derive(Clone, Copy)]
struct Ways {
    computes: Stuck,
    asks_for_the_time: Stuck,
    sleeps: Stuck,
    reads_a_pipe: Stuck,
    wants_a_lock: Stuck,
    wants_to_read: Stuck,
    calls_what_is_inlined: Stuck,
    goes_deep: Stuck,
}

const fn ways<const K: usize>() -> Ways {
    Ways {
        computes: computes::<K>,
        asks_for_the_time: asks_for_the_time::<K>,
        sleeps: sleeps::<K>,
        reads_a_pipe: reads_a_pipe::<K>,
        wants_a_lock: wants_a_lock::<K>,
        wants_to_read: wants_to_read::<K>,
        calls_what_is_inlined: calls_what_is_inlined::<K>,
        goes_deep: goes_deep::<K>,
    }
}

/// What functions that have returned left on the stack is not what it is in.
fn wants_to_read<const K: usize>(gate: &Arc<Gate>) {
    #[inline(never)]
    fn works() {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(1) {}
    }
    let lock = Arc::new(RwLock::new(()));
    let (held, has_it) = mpsc::channel();
    let (its, opened) = (Arc::clone(&lock), Arc::clone(gate));
    let holder = thread::spawn(move || {
        let _guard = its.write().unwrap();
        held.send(()).unwrap();
        opened.wait();
    });
    has_it.recv().unwrap();
    works();
    gate.stuck_in(line!() + 1);
    drop(lock.read().unwrap());
    holder.join().unwrap();
}

/// Every kind of runtime, with ways to be stuck that are its own. `TEST` keeps
/// those of two tests apart.
macro_rules! kinds {
    ($test:literal) => {
        Kind::all().into_iter().zip([
            ways::<{ 8 * $test }>(),
            ways::<{ 8 * $test + 1 }>(),
            ways::<{ 8 * $test + 2 }>(),
            ways::<{ 8 * $test + 3 }>(),
            ways::<{ 8 * $test + 4 }>(),
            ways::<{ 8 * $test + 5 }>(),
        ])
    };
}

/// Has something be stuck on a runtime of its own, and returns the report.
fn report_of(
    kind: Kind,
    name: &str,
    prepare: impl FnOnce(&mut Builder, &Arc<Gate>),
    be_stuck: impl FnOnce(&Runtime, &Arc<Gate>),
) -> (Stall, u32) {
    let name = format!("guard_stall, {name}, {kind}");
    let gate = Arc::new(Gate::default());
    let told = Arc::new(Mutex::new(None));
    let (runtime_name, opened, tell) = (name.clone(), Arc::clone(&gate), Arc::clone(&told));
    let _reports = on_report(move |report| {
        if let Report::Stall(stall) = report
            && stall.runtime.as_deref() == Some(&runtime_name)
        {
            tell.lock().unwrap().get_or_insert(stall.clone());
            opened.open();
        }
    });
    let mut builder = kind.builder();
    builder.enable_all().name(&*name);
    prepare(&mut builder, &gate);
    let runtime = builder.build().unwrap();
    be_stuck(&runtime, &gate);
    drop(runtime);
    let stall = told.lock().unwrap().take();
    let stall = stall.unwrap_or_else(|| panic!("{name}: it ended without a report"));
    (stall, gate.line.load(Ordering::Relaxed))
}

/// What a thread may be said to do.
enum Cause {
    Computing,
    /// In one of these system calls.
    In(&'static [&'static str]),
}

/// The report names the line in this file, and what is done there.
fn assert_names((stall, line): &(Stall, u32), cause: &Cause) {
    let stack = stall.stack.as_ref().unwrap_or_else(|| panic!("{stall}"));
    let frame = stack.top_user_frame().unwrap_or_else(|| panic!("{stall}"));
    let file = frame.file.as_ref().unwrap_or_else(|| panic!("{stall}"));
    assert!(file.ends_with("tests/it/guard_stall.rs"), "{stall}");
    assert_eq!(frame.line, Some(*line), "{stall}");
    let text = stall.to_string();
    let of_what_is_inlined = format!("guard_stall.rs:{line} in is_inlined");
    let in_full = format!("guard_stall.rs:{line} in it::guard_stall::");
    assert!(
        // Line tables alone have the last part of its name.
        text.contains(&in_full) || text.contains(&of_what_is_inlined),
        "{text}"
    );
    match (cause, &stall.cause) {
        (Cause::Computing, StallCause::Computing) => {}
        (Cause::In(names), StallCause::Blocked(Some(call))) => {
            let name = call.name().unwrap_or_else(|| panic!("{stall}"));
            assert!(names.contains(&name), "{name}: {stall}");
            assert!(text.contains(name), "{text}");
        }
        _ => panic!("another cause than expected: {stall}"),
    }
}

/// The report of a task that is stuck, spawned at `line` of this file.
fn task_report(kind: Kind, name: &str, stuck: Stuck) -> (Stall, u32) {
    let report = report_of(
        kind,
        name,
        |_, _| (),
        |runtime, gate| {
            let gate = Arc::clone(gate);
            let task = runtime.spawn(async move { stuck(&gate) });
            runtime.block_on(task).unwrap();
        },
    );
    let culprit = &report.0.culprit;
    assert!(matches!(culprit, Culprit::Task(_)), "{}", report.0);
    let place = culprit.location().expect("a task has one");
    assert!(place.file().ends_with("guard_stall.rs"), "{}", report.0);
    report
}

#[test]
fn a_task_that_computes_is_named_with_its_line() {
    for (kind, ways) in kinds!(1) {
        let report = task_report(kind, "computes", ways.computes);
        assert_names(&report, &Cause::Computing);
        let report = task_report(kind, "asks for the time", ways.asks_for_the_time);
        assert_names(&report, &Cause::Computing);
    }
}

#[test]
fn a_task_that_is_blocked_is_named_with_its_line_and_the_system_call() {
    for (kind, ways) in kinds!(2) {
        let cases: [(&str, Stuck, &'static [&'static str], &str); 4] = [
            (
                "sleeps",
                ways.sleeps,
                &["clock_nanosleep", "nanosleep"],
                "sleep",
            ),
            ("reads a pipe", ways.reads_a_pipe, &["read"], "read"),
            ("wants a lock", ways.wants_a_lock, &["futex"], "lock"),
            ("wants to read", ways.wants_to_read, &["futex"], "read"),
        ];
        for (name, stuck, calls, callee) in cases {
            let report = task_report(kind, name, stuck);
            assert_names(&report, &Cause::In(calls));
            let text = report.0.to_string();
            let inside = text.lines().find(|line| line.contains("inside of"));
            let inside = inside.unwrap_or_else(|| panic!("{text}"));
            assert!(inside.contains(callee), "{text}");
            assert!(!text.contains("syscall"), "folded away: {text}");
        }
    }
}

#[test]
fn a_function_that_was_inlined_is_named_and_so_is_its_caller() {
    for (kind, ways) in kinds!(3) {
        let report = task_report(kind, "is inlined", ways.calls_what_is_inlined);
        assert_names(&report, &Cause::Computing);
        let stack = report.0.stack.as_ref().expect("it was looked at");
        let users = stack.frames().iter().filter(|frame| {
            let file = frame.file.as_ref();
            file.is_some_and(|file| file.ends_with("tests/it/guard_stall.rs"))
        });
        let names: Vec<_> = users
            .filter_map(|frame| frame.function.as_deref())
            .collect();
        assert!(names[0].contains("is_inlined"), "{names:?}");
        assert!(names[1].contains("calls_what_is_inlined"), "{names:?}");
    }
}

#[test]
fn of_a_stack_that_is_too_deep_the_innermost_part_is_shown() {
    for (kind, ways) in kinds!(4) {
        // The line may be one on the way down, on a machine that is busy.
        let (stall, _) = task_report(kind, "goes deep", ways.goes_deep);
        let text = stall.to_string();
        assert!(
            text.contains("it::guard_stall::goes_deep::deeper"),
            "{text}"
        );
        assert!(text.contains("only the innermost 128 KiB"), "{text}");
        assert!(text.contains(" times"), "{text}");
        assert!(text.lines().count() < 12, "{text}");
    }
}

#[test]
fn a_stuck_drop_is_named() {
    for (kind, ways) in kinds!(5) {
        let report = report_of(
            kind,
            "drop",
            |_, _| (),
            |runtime, gate| {
                let held = StuckDrop(ways.computes, Arc::clone(gate));
                let task = runtime.spawn(async move {
                    let _held = held;
                    task::yield_now().await;
                });
                runtime.block_on(task).unwrap();
            },
        );
        assert_names(&report, &Cause::Computing);
        assert!(report.0.to_string().contains("StuckDrop"), "{}", report.0);
    }
}

#[test]
fn a_stuck_waker_is_named() {
    for (kind, ways) in kinds!(6) {
        let report = report_of(
            kind,
            "waker",
            |_, _| (),
            |runtime, gate| {
                let gate = Arc::clone(gate);
                let task = runtime.spawn(async move {
                    let mut sleep = Box::pin(time::sleep(Duration::from_millis(5)));
                    poll_fn(move |cx| {
                        let waker =
                            StuckWaker(ways.computes, Arc::clone(&gate), cx.waker().clone());
                        let waker = Waker::from(Arc::new(waker));
                        sleep.as_mut().poll(&mut Context::from_waker(&waker))
                    })
                    .await;
                });
                runtime.block_on(task).unwrap();
            },
        );
        assert_names(&report, &Cause::Computing);
        assert_eq!(report.0.culprit, Culprit::Waker, "{}", report.0);
        assert!(report.0.to_string().contains("StuckWaker"), "{}", report.0);
    }
}

#[test]
fn a_stuck_hook_is_named() {
    for (kind, ways) in kinds!(7) {
        let prepare = |builder: &mut Builder, gate: &Arc<Gate>| {
            let gate = Arc::clone(gate);
            let is_first = AtomicBool::new(true);
            builder.on_thread_park(move || {
                if is_first.swap(false, Ordering::Relaxed) {
                    (ways.sleeps)(&gate);
                }
            });
        };
        let report = report_of(kind, "hook", prepare, |runtime, gate| {
            runtime.block_on(async {
                while !gate.is_open() {
                    time::sleep(Duration::from_millis(1)).await;
                }
            });
        });
        assert_names(&report, &Cause::In(&["clock_nanosleep", "nanosleep"]));
        assert_eq!(
            report.0.culprit,
            Culprit::Hook("on_thread_park"),
            "{}",
            report.0
        );
    }
}

#[test]
fn a_stuck_block_on_is_named_by_the_line_that_called_it() {
    for (kind, ways) in kinds!(8) {
        let line = std::cell::Cell::new(0);
        let report = report_of(
            kind,
            "block_on",
            |_, _| (),
            |runtime, gate| {
                line.set(line!() + 1);
                runtime.block_on(async { (ways.reads_a_pipe)(gate) });
            },
        );
        assert_names(&report, &Cause::In(&["read"]));
        let Culprit::BlockOn(at) = report.0.culprit else {
            panic!("{}", report.0);
        };
        assert_eq!(at.line(), line.get());
    }
}
