//! Panics that nobody looks at are reported, each once; those that somebody
//! looks at are not.

use std::fmt;
use std::future::pending;
use std::io;
use std::panic::{Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tapio::guard;
use tapio::runtime::Runtime;
use tapio::task::{self, Id, JoinHandle, JoinSet, LocalSet};

use crate::reports::{Reports, panic_quietly};
use crate::support::{runtimes, until};

/// A way to have something panic.
type Spawn = fn(&Runtime) -> JoinHandle<()>;

const KINDS: [(&str, Spawn); 2] = [
    ("a task", |runtime| {
        runtime.spawn(async { panic_quietly("gone") })
    }),
    ("a blocking call", |runtime| {
        runtime.spawn_blocking(|| panic_quietly("gone"))
    }),
];

async fn finished<T>(handle: &JoinHandle<T>) {
    until(|| handle.is_finished()).await;
}

#[test]
fn a_panic_is_reported_once_whether_the_handle_goes_before_or_after() {
    let reports = Reports::listen();
    for (name, spawn) in KINDS {
        for (kind, runtime) in runtimes() {
            let metrics = runtime.metrics();
            let before = runtime.block_on(async {
                let handle = spawn(&runtime);
                let id = handle.id();
                drop(handle);
                until(|| metrics.num_unobserved_panics() == 1).await;
                id
            });
            let after = runtime.block_on(async {
                let handle = spawn(&runtime);
                finished(&handle).await;
                let id = handle.id();
                assert!(
                    reports.panics_of(id).is_empty(),
                    "{kind}, {name}: too early"
                );
                drop(handle);
                id
            });
            assert_eq!(metrics.num_unobserved_panics(), 2, "{kind}, {name}");
            drop(runtime);
            for id in [before, after] {
                let panics = reports.panics_of(id);
                assert_eq!(panics.len(), 1, "{kind}, {name}");
                let [panic] = &panics[..] else { unreachable!() };
                assert_eq!(panic.message.as_deref(), Some("gone"), "{kind}, {name}");
                assert!(panic.task.spawned_at.file().ends_with(file!()), "{panic}");
                assert!(panic.to_string().contains("help:"), "{panic}");
            }
        }
    }
}

#[test]
fn a_panic_that_somebody_looks_at_is_not_reported() {
    let reports = Reports::listen();
    for (name, spawn) in KINDS {
        for (kind, runtime) in runtimes() {
            let ids: Vec<Id> = runtime.block_on(async {
                let awaited = spawn(&runtime);
                let mut polled = spawn(&runtime);
                let ids = vec![awaited.id(), polled.id()];
                assert!(awaited.await.unwrap_err().is_panic(), "{kind}, {name}");
                finished(&polled).await;
                let payload = (&mut polled).await.unwrap_err().into_panic();
                assert_eq!(*payload.downcast::<&str>().unwrap(), "gone");
                drop(polled);
                ids
            });
            assert_eq!(runtime.metrics().num_unobserved_panics(), 0);
            drop(runtime);
            for id in ids {
                assert!(reports.panics_of(id).is_empty(), "{kind}, {name}");
            }
        }
    }
}

#[test]
fn an_aborted_task_is_no_panic_but_one_whose_destructor_panics_is() {
    struct Falls;
    impl Drop for Falls {
        fn drop(&mut self) {
            panic_quietly("on the way out");
        }
    }
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let (aborted, falling, left) = runtime.block_on(async {
            let aborted = runtime.spawn(pending::<()>());
            let falls = || {
                let falls = Falls;
                async move {
                    let _falls = falls;
                    pending::<()>().await;
                }
            };
            let falling = runtime.spawn(falls());
            let left = runtime.spawn(falls());
            let ids = (aborted.id(), falling.id(), left.id());
            aborted.abort();
            falling.abort();
            drop((aborted, falling, left));
            until(|| runtime.metrics().num_alive_tasks() == 1).await;
            ids
        });
        assert_eq!(reports.panics_of(falling).len(), 1, "{kind}");
        // The other one falls when the runtime ends.
        assert!(reports.panics_of(left).is_empty(), "{kind}");
        drop(runtime);
        assert_eq!(reports.panics_of(left).len(), 1, "{kind}");
        assert!(reports.panics_of(aborted).is_empty(), "{kind}");
    }
}

#[test]
fn a_panic_that_somebody_has_told_of_is_no_news_and_stays_what_it_was() {
    let reports = Reports::listen();
    let known = || -> () {
        let caught = catch_unwind(|| panic_quietly("known")).unwrap_err();
        guard::resume_observed(caught)
    };
    for (kind, runtime) in runtimes() {
        let id = runtime.block_on(async {
            let dropped = runtime.spawn(async move { known() });
            let id = dropped.id();
            drop(dropped);
            let read = runtime.spawn(async move { known() }).await.unwrap_err();
            assert!(read.to_string().contains("known"), "{kind}: {read}");
            let payload = read.into_panic();
            assert_eq!(*payload.downcast::<&str>().unwrap(), "known", "{kind}");
            until(|| runtime.metrics().num_alive_tasks() == 0).await;
            id
        });
        assert!(reports.panics_of(id).is_empty(), "{kind}");
        assert_eq!(runtime.metrics().num_unobserved_panics(), 0, "{kind}");
    }
}

#[test]
fn local_tasks_and_sets_of_tasks_are_no_exception() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let set = LocalSet::new();
        let local = set.block_on(&runtime, async {
            let pinned = Rc::new(());
            let handle = task::spawn_local(async move {
                let _pinned = pinned;
                panic_quietly("local");
            });
            let id = handle.id();
            drop(handle);
            until(|| !reports.panics_of(id).is_empty()).await;
            id
        });
        drop(set);
        assert_eq!(runtime.metrics().num_unobserved_panics(), 1, "{kind}");

        let (panicked, read, aborted) = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            let read = tasks.spawn(async { panic_quietly("read") });
            assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
            let panicked = tasks.spawn(async { panic_quietly("unread") });
            let aborted = tasks.spawn(pending::<()>());
            until(|| panicked.is_finished()).await;
            let ids = (panicked.id(), read.id(), aborted.id());
            drop(tasks);
            until(|| aborted.is_finished()).await;
            ids
        });
        drop(runtime);
        assert_eq!(reports.panics_of(local).len(), 1, "{kind}");
        assert_eq!(reports.panics_of(panicked).len(), 1, "{kind}");
        assert!(reports.panics_of(read).is_empty(), "{kind}");
        assert!(reports.panics_of(aborted).is_empty(), "{kind}");
    }
}

#[test]
fn a_set_that_is_shut_down_reports_what_it_reads_for_nobody() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let (panicked, failed) = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            let panicked = tasks.spawn(async { panic_quietly("unread") });
            let failed = tasks.spawn(async { Err::<(), _>(io::Error::other("unread")) });
            until(|| panicked.is_finished() && failed.is_finished()).await;
            tasks.shutdown().await;
            assert!(tasks.is_empty());
            (panicked.id(), failed.id())
        });
        assert_eq!(reports.panics_of(panicked).len(), 1, "{kind}");
        assert_eq!(reports.errors_of(failed).len(), 1, "{kind}");
    }
}

#[test]
fn a_listener_that_panics_is_contained_and_the_output_is_dropped() {
    struct Output(Arc<AtomicUsize>);
    impl Drop for Output {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    impl fmt::Display for Output {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic_quietly("an error that cannot even be shown")
        }
    }
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (one, two) = (Output(Arc::clone(&dropped)), Output(Arc::clone(&dropped)));
        let site = Location::caller().line() + 1;
        let handle = runtime.spawn(async move { Err::<(), _>(one) });
        let _panics = guard::on_report(move |report| {
            if report.to_string().contains(&format!("{}:{site}:", file!())) {
                panic_quietly("in the listener");
            }
        });
        runtime.block_on(async {
            drop(handle);
            until(|| runtime.metrics().num_alive_tasks() == 0).await;
            runtime
                .spawn(async move { Err::<(), _>(two) })
                .report_errors();
            until(|| runtime.metrics().num_alive_tasks() == 0).await;
        });
        // The runtime is none the worse for it.
        runtime.block_on(async { tapio::spawn(async {}).await.unwrap() });
        assert_eq!(dropped.load(Ordering::Relaxed), 2, "{kind}");
    }
    drop(reports);
}

#[test]
fn the_place_of_a_panic_is_known_to_programs_that_ask_for_it() {
    guard::note_panic_places();
    guard::note_panic_places();
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let line = Location::caller().line() + 1;
        let loud = runtime.spawn(async { panic!("here") });
        let id = loud.id();
        drop(loud);
        runtime.block_on(until(|| runtime.metrics().num_alive_tasks() == 0));
        let panics = reports.panics_of(id);
        let place = panics[0].place.as_deref().unwrap();
        assert!(
            place.starts_with(&format!("{}:{line}:", file!())),
            "{kind}: {place}"
        );

        // No hook is told of this one: the place of the one before is not it.
        let quiet = runtime.spawn(async { panic_quietly("elsewhere") });
        let id = quiet.id();
        drop(quiet);
        runtime.block_on(until(|| runtime.metrics().num_alive_tasks() == 0));
        assert_eq!(reports.panics_of(id)[0].place, None, "{kind}");
    }
}

/// Draws numbers from a seed.
struct Dice(u64);

impl Dice {
    fn draw(&mut self, below: u64) -> u64 {
        // Knuth's linear congruential generator, the good bits of it.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

#[test]
fn however_handles_and_ends_race_reports_are_as_many_as_lost_panics() {
    const TASKS: usize = 2_000;
    let reports = Reports::listen();
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = clock.unwrap().as_nanos() as u64;
    let mut dice = Dice(seed);
    for (kind, runtime) in runtimes() {
        let token = Arc::new(());
        let mut lost = Vec::new();
        let mut kept = Vec::new();
        runtime.block_on(async {
            for _ in 0..TASKS {
                let (panics, yields, fate) = (dice.draw(2) == 0, dice.draw(3), dice.draw(4));
                let held = Arc::clone(&token);
                let work = move || {
                    let _held = held;
                    if panics {
                        panic_quietly("lost");
                    }
                };
                let handle = if dice.draw(8) == 0 {
                    task::spawn_blocking(work)
                } else {
                    tapio::spawn(async move {
                        for _ in 0..yields {
                            task::yield_now().await;
                        }
                        work();
                    })
                };
                let is_lost = panics && fate != 0;
                if is_lost { &mut lost } else { &mut kept }.push(handle.id());
                match fate {
                    0 => drop(handle.await),
                    1 => drop(handle),
                    // On the thread of whoever drops it.
                    2 => drop(tapio::spawn(async move { drop(handle) })),
                    _ => {
                        for _ in 0..dice.draw(4) {
                            task::yield_now().await;
                        }
                        drop(handle);
                    }
                }
            }
            until(|| runtime.metrics().num_alive_tasks() == 0).await;
        });
        let metrics = runtime.metrics();
        drop(runtime);
        let mut heard = reports.panics().into_iter().collect::<Vec<_>>();
        heard.retain(|id| lost.contains(id) || kept.contains(id));
        heard.sort_unstable();
        lost.sort_unstable();
        assert_eq!(heard, lost, "{kind}, seed {seed}");
        assert_eq!(
            metrics.num_unobserved_panics(),
            lost.len() as u64,
            "{kind}, seed {seed}"
        );
        assert_eq!(Arc::strong_count(&token), 1, "{kind}, seed {seed}");
    }
}
