//! Stuck tasks where the system gives no more threads, memory or descriptors:
//! what stands by is enough for the first, and what is not is said.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Resource;
use tapio::guard::{Report, on_report};
use tapio::runtime::Runtime;
use tapio::task::JoinHandle;

use crate::child::in_child;
use crate::limits::{give_up_root, limit};
use crate::rig::{Kind, Ticker, build_rescuing, settle, wait_for};

/// How long others may wait.
const GAP_MAX: Duration = Duration::from_millis(200);
/// How long a hook lasts at the most, should its test fail.
const LIMIT: Duration = Duration::from_secs(60);

/// Others go on while one task is stuck, though nothing more is to be had.
fn assert_one_is_rescued_from(kind: Kind, runtime: &Runtime) {
    let before = runtime.metrics().num_rescues();
    let ticker = Ticker::start(runtime);
    let timed = ticker.clone();
    let stuck = runtime
        .spawn(async move { timed.worst_during(|| thread::sleep(Duration::from_millis(500))) });
    let (worst, _) = runtime.block_on(stuck).expect("it does not panic");
    ticker.stop();
    assert!(worst < GAP_MAX, "{kind}: {worst:?}");
    assert!(runtime.metrics().num_rescues() > before, "{kind}");
}

#[test]
fn no_descriptor() {
    in_child("scarce::no_descriptor", || {
        for kind in Kind::all() {
            let runtime = build_rescuing(kind);
            settle();
            let mut all: Vec<File> = Vec::new();
            rustix::process::setrlimit(
                Resource::Nofile,
                rustix::process::Rlimit {
                    current: Some(64),
                    maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
                },
            )
            .expect("it may be lowered");
            while let Ok(file) = File::open("/dev/null") {
                all.push(file);
            }
            assert_one_is_rescued_from(kind, &runtime);
            drop(all);
        }
    });
}

/// Tasks that are stuck at once, until this is dropped.
struct Stuck<'a> {
    runtime: &'a Runtime,
    tasks: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
}

impl Stuck<'_> {
    fn new(runtime: &Runtime, count: usize) -> Stuck<'_> {
        let is_over = Arc::new(AtomicBool::new(false));
        let tasks = (0..count).map(|_| {
            let is_over = Arc::clone(&is_over);
            runtime.spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(60));
                }
            })
        });
        Stuck {
            runtime,
            tasks: tasks.collect(),
            is_over: Arc::clone(&is_over),
        }
    }
}

impl Drop for Stuck<'_> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            let _ = self.runtime.block_on(task);
        }
    }
}

type Limits = Arc<Mutex<Vec<(&'static str, String)>>>;

/// The limits that are told of from now on.
fn limits() -> Limits {
    let limits = Limits::default();
    let told = Arc::clone(&limits);
    on_report(move |report| {
        if let Report::Limit(limit) = report {
            let mut told = told.lock().expect("nobody panics");
            told.push((limit.name, limit.to_string()));
        }
    })
    .keep();
    limits
}

fn of_name(limits: &Limits, name: &str) -> Vec<String> {
    let limits = limits.lock().expect("nobody panics");
    let of_name = limits.iter().filter(|(other, _)| *other == name);
    of_name.map(|(_, text)| text.clone()).collect()
}

fn assert_more_is_said_once(kind: Kind, runtime: &Runtime, told: &Limits) {
    if kind.workers.is_none() {
        return;
    }
    let stuck = Stuck::new(runtime, 12);
    wait_for("it is said", || !of_name(told, "threads").is_empty());
    // Time for it to be said again.
    thread::sleep(Duration::from_millis(500));
    drop(stuck);
    let said = of_name(told, "threads");
    assert_eq!(said.len(), 1, "{kind}: {said:#?}");
    for word in ["the system gives no more", "os error", "help:", "ulimit -u"] {
        assert!(said[0].contains(word), "{word} in {}", said[0]);
    }
}

/// A runtime of every kind, with all threads that it has from the start.
fn all_at_work() -> Vec<(Kind, Runtime)> {
    let kinds = Kind::all().into_iter();
    let runtimes: Vec<_> = kinds.map(|kind| (kind, build_rescuing(kind))).collect();
    for (_, runtime) in &runtimes {
        runtime.block_on(async { tapio::spawn(async {}).await.expect("it ends") });
    }
    settle();
    runtimes
}

#[test]
fn no_thread() {
    in_child("scarce::no_thread", || {
        let told = limits();
        let runtimes = all_at_work();
        give_up_root();
        limit(Resource::Nproc, 0);
        assert!(thread::Builder::new().spawn(|| ()).is_err(), "it binds");
        for (kind, runtime) in &runtimes {
            told.lock().expect("nobody panics").clear();
            assert_one_is_rescued_from(*kind, runtime);
            assert_more_is_said_once(*kind, runtime, &told);
        }
    });
}

#[test]
fn no_memory_for_a_thread() {
    in_child("scarce::no_memory_for_a_thread", || {
        let told = limits();
        let runtimes = all_at_work();
        let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
        let pages: u64 = statm
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a count");
        // Room for a little, and for no stack.
        limit(
            Resource::As,
            pages * rustix::param::page_size() as u64 + (1 << 20),
        );
        assert!(thread::Builder::new().spawn(|| ()).is_err(), "it binds");
        for (kind, runtime) in &runtimes {
            told.lock().expect("nobody panics").clear();
            assert_one_is_rescued_from(*kind, runtime);
            assert_more_is_said_once(*kind, runtime, &told);
        }
    });
}

#[test]
fn the_limit_on_substitutes_is_told_once_with_what_holds_the_workers() {
    let name = "scarce::the_limit_on_substitutes_is_told_once_with_what_holds_the_workers";
    in_child(name, || {
        let told = limits();
        for kind in Kind::all() {
            if kind.workers.is_none() {
                continue;
            }
            let runtime = kind
                .builder()
                .max_substitutes(3)
                .build()
                .expect("a runtime");
            let metrics = runtime.metrics();
            for _ in 0..3 {
                let stuck = Stuck::new(&runtime, 20);
                wait_for("it is said", || {
                    !of_name(&told, "max_substitutes").is_empty()
                });
                drop(stuck);
            }
            let said = of_name(&told, "max_substitutes");
            assert_eq!(said.len(), 1, "{kind}: {said:#?}");
            let site = format!("5 tasks spawned at {}", file!());
            for word in [
                &*site,
                "held by",
                "help:",
                "spawn_blocking",
                "Builder::max_substitutes",
            ] {
                assert!(said[0].contains(word), "{word} in {}", said[0]);
            }
            assert!(metrics.num_substitute_limit_hits() >= 2, "{kind}");
            told.lock().expect("nobody panics").clear();
        }
    });
}

#[test]
fn a_thread_that_is_in_its_hook_is_no_rescue_and_the_hook_is_told_of() {
    let name = "scarce::a_thread_that_is_in_its_hook_is_no_rescue_and_the_hook_is_told_of";
    in_child(name, || {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        on_report(move |report| {
            let mut told = telling.lock().expect("nobody panics");
            told.push(report.to_string());
        })
        .keep();
        for kind in Kind::all() {
            if kind.workers.is_none() {
                continue;
            }
            // One begins; the other worker, and those that are to stand by, stay
            // in their hooks until then.
            let is_open = Arc::new(AtomicBool::new(false));
            let opened = Arc::clone(&is_open);
            let has_begun = AtomicBool::new(false);
            let runtime = kind
                .builder()
                .on_thread_start(move || {
                    if has_begun.swap(true, Ordering::Relaxed) {
                        let begin = Instant::now();
                        while !opened.load(Ordering::Relaxed) && begin.elapsed() < LIMIT {
                            thread::sleep(Duration::from_millis(60));
                        }
                    }
                })
                .build()
                .expect("a runtime");
            let has = |words: &[&str]| {
                let told = told.lock().expect("nobody panics");
                let mut told = told.iter();
                told.any(|text| words.iter().all(|word| text.contains(word)))
            };
            wait_for("the hook is told of, with its place", || {
                let what = "the on_thread_start hook has kept a thread that begins";
                has(&[what, "scarce.rs:"])
            });
            let stuck = Stuck::new(&runtime, 1);
            wait_for("it is not rescued", || {
                let why = "the thread that is to stand in is in the on_thread_start hook";
                has(&["not rescued", why])
            });
            assert_eq!(runtime.metrics().num_rescues(), 0, "{kind}");
            is_open.store(true, Ordering::Relaxed);
            // It is now, late.
            wait_for("it is rescued", || runtime.metrics().num_rescues() > 0);
            drop(stuck);
            // Those that stand by have been through it, so a long hook delays
            // no rescue.
            assert_one_is_rescued_from(kind, &runtime);
            told.lock().expect("nobody panics").clear();
        }
    });
}
