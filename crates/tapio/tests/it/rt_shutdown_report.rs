//! The end of a runtime says what it waits for, and nothing when there is
//! nothing.

use std::panic::Location;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tapio::guard::{self, Report};
use tapio::runtime::{Builder, Runtime};
use tapio::task;

use crate::reports::Reports;
use crate::support::{Kind, until};

/// What blocking code waits for.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    changed: Condvar,
    /// One that waits has one.
    token: Arc<()>,
}

impl Gate {
    fn wait(&self) {
        let _token = Arc::clone(&self.token);
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.changed.wait(is_open).unwrap();
        }
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn waiting(&self) -> usize {
        Arc::strong_count(&self.token) - 1
    }
}

/// A blocking call that has begun and waits.
#[track_caller]
fn block(runtime: &Runtime, gate: &Arc<Gate>) -> &'static Location<'static> {
    let (waits, before) = (Arc::clone(gate), gate.waiting());
    drop(runtime.spawn_blocking(move || waits.wait()));
    while gate.waiting() == before {
        thread::yield_now();
    }
    Location::caller()
}

#[test]
fn what_still_runs_at_the_deadline_is_listed_by_place_most_first() {
    let reports = Reports::listen();
    for kind in Kind::all() {
        // Whether the guard watches or not.
        for budget in [Duration::from_millis(10), Duration::ZERO] {
            let name = format!("late: {kind}, {budget:?}");
            let mut builder = kind.builder();
            let builder = builder.name(&name).stall_budget(budget);
            let runtime = builder.build().unwrap();
            let gate = Arc::new(Gate::default());
            let one = block(&runtime, &gate);
            let mut many = one;
            for _ in 0..3 {
                many = block(&runtime, &gate);
            }
            let mut stuck = None;
            if kind.workers.is_some() {
                let (waits, before) = (Arc::clone(&gate), gate.waiting());
                let task = runtime.spawn(async move { waits.wait() });
                stuck = Some(task.id());
                while gate.waiting() == before {
                    thread::yield_now();
                }
            }
            // These are no trouble: they wait at an await point, or in line.
            drop(runtime.spawn(std::future::pending::<()>()));
            runtime.shutdown_timeout(Duration::from_millis(20));

            let waits = reports.shutdowns_of(&name);
            assert_eq!(waits.len(), 1, "{name}");
            let waits = &waits[0];
            assert!(waits.is_deadline, "{name}");
            let lines = |sites: &[(&'static Location<'static>, usize)]| -> Vec<(u32, usize)> {
                sites.iter().map(|(at, n)| (at.line(), *n)).collect()
            };
            let calls = lines(&waits.blocking_calls);
            assert_eq!(
                calls,
                [(many.line(), 3), (one.line(), 1)],
                "{name}: {waits}"
            );
            assert_eq!(
                waits.tasks.len(),
                usize::from(stuck.is_some()),
                "{name}: {waits}"
            );
            let text = waits.to_string();
            assert!(
                text.contains("4 blocking calls") && text.contains("help:"),
                "{text}"
            );
            gate.open();
            while gate.waiting() > 0 {
                thread::yield_now();
            }
        }
    }
}

#[test]
fn an_end_in_time_says_nothing_and_neither_does_one_in_the_background() {
    let reports = Reports::listen();
    for kind in Kind::all() {
        let build = |name: &str| kind.builder().name(name).build().unwrap();
        let name = format!("in time: {kind}");
        let runtime = build(&name);
        runtime.block_on(async { task::spawn_blocking(|| ()).await.unwrap() });
        runtime.shutdown_timeout(Duration::from_secs(100));
        assert!(reports.shutdowns_of(&name).is_empty(), "{name}");

        let name = format!("behind: {kind}");
        let (runtime, gate) = (build(&name), Arc::new(Gate::default()));
        block(&runtime, &gate);
        runtime.shutdown_background();
        gate.open();
        while gate.waiting() > 0 {
            thread::yield_now();
        }
        assert!(reports.shutdowns_of(&name).is_empty(), "{name}");
    }
}

#[test]
fn a_long_wait_in_drop_says_once_what_it_waits_for_and_goes_on_waiting() {
    const NAME: &str = "waits long";
    let reports = Reports::listen();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .name(NAME)
        .build()
        .unwrap();
    let gate = Arc::new(Gate::default());
    block(&runtime, &gate);
    // Only the report lets the call end, and with it the runtime.
    let opens = Arc::clone(&gate);
    let _opener = guard::on_report(move |report| {
        if let Report::Shutdown(waits) = report
            && waits.runtime.as_deref() == Some(NAME)
        {
            opens.open();
        }
    });
    drop(runtime);
    assert_eq!(gate.waiting(), 0, "it went on waiting");
    let waits = reports.shutdowns_of(NAME);
    assert_eq!(waits.len(), 1);
    assert!(!waits[0].is_deadline && waits[0].tasks.is_empty());
    assert_eq!(waits[0].blocking_calls.len(), 1);
}

#[test]
fn the_limit_of_blocking_threads_is_reported_once_and_counted() {
    // A number that no other test has.
    const THREADS: usize = 3;
    let reports = Reports::listen();
    for kind in Kind::all() {
        let mut builder = kind.builder();
        let runtime = builder.max_blocking_threads(THREADS).build().unwrap();
        let metrics = runtime.metrics();
        let gate = Arc::new(Gate::default());
        let mut handles = Vec::new();
        for _ in 0..THREADS + 4 {
            let waits = Arc::clone(&gate);
            handles.push(runtime.spawn_blocking(move || waits.wait()));
        }
        assert_eq!(metrics.num_blocking_limit_hits(), 4, "{kind}");
        gate.open();
        runtime.block_on(async {
            for handle in handles {
                handle.await.unwrap();
            }
            until(|| metrics.blocking_queue_depth() == 0).await;
        });
    }
    let hits = reports.limits("max_blocking_threads", THREADS);
    assert_eq!(hits, Kind::all().len());
}
