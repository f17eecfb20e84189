//! The guard where CPUs, descriptors or time are short.

use std::fs::File;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getpid};
use tapio::guard::{Culprit, Report, Stall, StallCause, on_report};
use tapio::task;

use crate::child::in_child;
use crate::limits::limit;
use crate::rig::{Kind, compute};

/// Runs `f` while every CPU is wanted by many threads.
fn among_burners(f: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let count = 4 * thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..count {
            scope.spawn(|| while !black_box(stop.load(Ordering::Relaxed)) {});
        }
        f();
        stop.store(true, Ordering::Relaxed);
    });
}

/// Collects the stalls that are reported while it lives.
fn stalls() -> (Arc<Mutex<Vec<Stall>>>, tapio::guard::Subscription) {
    let stalls = Arc::<Mutex<Vec<Stall>>>::default();
    let told = Arc::clone(&stalls);
    let subscription = on_report(move |report| {
        if let Report::Stall(stall) = report {
            told.lock().unwrap().push(stall.clone());
        }
    });
    (stalls, subscription)
}

#[test]
fn polls_that_only_wait_for_a_cpu_are_no_stalls() {
    let name = "busy::polls_that_only_wait_for_a_cpu_are_no_stalls";
    in_child(name, || {
        for kind in Kind::all() {
            let (stalls, _subscription) = stalls();
            let runtime = kind.build();
            among_burners(|| {
                let tasks = (0..4).map(|_| {
                    runtime.spawn(async {
                        for _ in 0..40 {
                            compute(Duration::from_millis(5));
                            task::yield_now().await;
                        }
                    })
                });
                let tasks: Vec<_> = tasks.collect();
                runtime.block_on(async {
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            });
            let stalls = stalls.lock().unwrap();
            let first = stalls.first().map(ToString::to_string);
            assert_eq!(runtime.metrics().num_stalls(), 0, "{kind}: {first:?}");
        }
    });
}

#[test]
fn a_poll_that_computes_for_long_is_one_however_seldom_it_may() {
    let name = "busy::a_poll_that_computes_for_long_is_one_however_seldom_it_may";
    in_child(name, || {
        for kind in Kind::all() {
            let (stalls, _subscription) = stalls();
            let runtime = kind.build();
            among_burners(|| {
                let seen = Arc::clone(&stalls);
                let task = runtime.spawn(async move {
                    while seen.lock().unwrap().is_empty() {
                        compute(Duration::from_millis(1));
                    }
                });
                runtime.block_on(task).unwrap();
            });
            let stall = stalls.lock().unwrap()[0].clone();
            assert!(matches!(stall.cause, StallCause::Computing), "{stall}");
            assert!(stall.cpu >= Duration::from_millis(10), "{stall}");
            assert!(
                stall.cpu <= stall.lasted + Duration::from_millis(5),
                "{stall}"
            );
            let words = format!("computing ({} ms on a CPU)", stall.cpu.as_millis());
            assert!(stall.to_string().contains(&words), "{stall}");
        }
    });
}

/// The guard is kept from looking by stopping the process.
#[test]
fn a_stall_is_told_to_have_lasted_as_long_as_it_did_whenever_the_guard_could_look() {
    let name =
        "busy::a_stall_is_told_to_have_lasted_as_long_as_it_did_whenever_the_guard_could_look";
    in_child(name, || {
        for kind in Kind::all() {
            let (tell, told) = mpsc::channel();
            let _subscription = on_report(move |report| {
                if let Report::StallEnded(ended) = report {
                    let _ = tell.send(ended.lasted);
                }
            });
            let runtime = kind.build();
            let script = format!(
                "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.02; kill -STOP {pid}; sleep 0.05; \
                 kill -CONT {pid}; done",
                pid = getpid().as_raw_nonzero(),
            );
            let task = runtime.spawn(async move {
                let begin = Instant::now();
                let mut helper = Command::new("sh").args(["-c", &script]).spawn().unwrap();
                helper.wait().unwrap();
                begin.elapsed()
            });
            let lasted = runtime.block_on(task).unwrap();
            let told = told.recv().expect("it is reported");
            let wrong = told.abs_diff(lasted);
            assert!(wrong <= lasted / 5, "{kind}: {told:?} of {lasted:?}");
        }
    });
}

#[test]
fn without_a_free_descriptor_stalls_are_seen_and_rescued() {
    let name = "busy::without_a_free_descriptor_stalls_are_seen_and_rescued";
    in_child(name, || {
        for kind in Kind::all() {
            let runtime = kind.builder().rescue(true).build().unwrap();
            // Everything is there that a program has that runs.
            runtime.block_on(async { tapio::spawn(async {}).await.unwrap() });
            limit(Resource::Nofile, 64);
            let mut all = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                all.push(file);
            }
            for computes in [true, false] {
                let ids = Arc::<Mutex<Vec<task::Id>>>::default();
                let (tell, told) = (Arc::default(), Arc::clone(&ids));
                let stalls: Arc<Mutex<Vec<Stall>>> = Arc::clone(&tell);
                // Others may still be told of, that ended before.
                let subscription = on_report(move |report| {
                    if let Report::Stall(stall) = report
                        && let Culprit::Task(task) = &stall.culprit
                        && told.lock().unwrap().contains(&task.id)
                    {
                        tell.lock().unwrap().push(stall.clone());
                    }
                });
                let has_run = Arc::new(AtomicBool::new(false));
                let count = kind.workers.unwrap_or(1);
                let stuck = (0..count).map(|_| {
                    let (seen, run) = (Arc::clone(&stalls), Arc::clone(&has_run));
                    let ids = Arc::clone(&ids);
                    runtime.spawn(async move {
                        ids.lock().unwrap().push(task::id());
                        while seen.lock().unwrap().is_empty() || !run.load(Ordering::Acquire) {
                            if computes {
                                compute(Duration::from_millis(1));
                            } else {
                                thread::sleep(Duration::from_secs(1));
                            }
                        }
                    })
                });
                let stuck: Vec<_> = stuck.collect();
                let run = Arc::clone(&has_run);
                let other = runtime.spawn(async move { run.store(true, Ordering::Release) });
                runtime.block_on(async {
                    other.await.unwrap();
                    for task in stuck {
                        task.await.unwrap();
                    }
                });
                drop(subscription);
                let stall = stalls.lock().unwrap()[0].clone();
                match stall.cause {
                    StallCause::Computing => assert!(computes, "{kind}: {stall}"),
                    StallCause::NotRunning => {
                        assert!(!computes, "{kind}: {stall}");
                        let text = stall.to_string();
                        assert!(text.contains("without using a CPU"), "{kind}: {text}");
                        assert!(text.contains("Too many open files"), "{kind}: {text}");
                    }
                    _ => panic!("{kind}: {stall}"),
                }
            }
            assert!(runtime.metrics().num_rescues() >= 2, "{kind}");
            drop(all);
        }
    });
}
