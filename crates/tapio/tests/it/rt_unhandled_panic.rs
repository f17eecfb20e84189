//! `Builder::unhandled_panic` and `LocalSet::unhandled_panic`: a panic in a
//! task ends everything, or nothing.

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;

use tapio::runtime::{Runtime, UnhandledPanic};
use tapio::sync::oneshot;
use tapio::task::{self, JoinHandle, LocalSet};

use crate::reports::{Reports, panic_quietly};
use crate::support::{Kind, until};

const MESSAGE: &str =
    "a spawned task panicked and the runtime is configured to shut down on unhandled panic";
const LOCAL_MESSAGE: &str =
    "a spawned task panicked and the LocalSet is configured to shutdown on unhandled panic";

fn runtimes() -> impl Iterator<Item = (Kind, Runtime)> {
    Kind::all().into_iter().map(|kind| {
        let mut builder = kind.builder();
        let builder = builder.enable_all();
        let builder = builder.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        (kind, builder.build().unwrap())
    })
}

/// What `f` panics with.
#[track_caller]
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it did not panic");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).into(),
    }
}

/// The result of a task of a runtime that does no more.
fn joined<T>(handle: JoinHandle<T>) -> Result<T, task::JoinError> {
    futures::executor::block_on(handle)
}

#[test]
fn whoever_blocks_on_the_runtime_panics_whether_the_handle_is_there_or_not() {
    for (kind, runtime) in runtimes() {
        let message = panic_of(|| {
            runtime.block_on(async {
                drop(tapio::spawn(async { panic_quietly("boom") }));
                pending::<()>().await;
            });
        });
        assert_eq!(message, MESSAGE, "{kind}");
    }
    for (kind, runtime) in runtimes() {
        let message = panic_of(|| {
            runtime.block_on(async {
                let _ = tapio::spawn(async { panic_quietly("boom") }).await;
                pending::<()>().await;
            });
        });
        assert_eq!(message, MESSAGE, "{kind}");
    }
}

#[test]
fn all_other_tasks_end_as_if_aborted_and_the_panic_stays_with_its_own() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let token = Arc::new(());
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let held = Arc::clone(&token);
                runtime.spawn(async move {
                    let _held = held;
                    tapio::time::sleep(std::time::Duration::from_secs(1_000)).await;
                })
            })
            .collect();
        let boom = runtime.spawn(async { panic_quietly("boom") });
        let id = boom.id();
        let message = panic_of(|| runtime.block_on(pending::<()>()));
        assert_eq!(message, MESSAGE, "{kind}");
        for handle in waiting {
            assert!(joined(handle).unwrap_err().is_cancelled(), "{kind}");
        }
        assert!(joined(boom).unwrap_err().is_panic(), "{kind}");
        assert_eq!(Arc::strong_count(&token), 1, "{kind}");

        // Nothing is started any more.
        let late = runtime.spawn(async { 1 });
        assert!(joined(late).unwrap_err().is_cancelled(), "{kind}");
        let metrics = runtime.metrics();
        assert_eq!(metrics.num_alive_tasks(), 0, "{kind}");
        drop(runtime);
        assert_eq!(metrics.num_timers(), 0, "{kind}");
        // Somebody looked at it.
        assert!(reports.panics_of(id).is_empty(), "{kind}");
    }
}

#[test]
fn a_lost_panic_that_ends_the_runtime_is_reported_as_well() {
    let reports = Reports::listen();
    for (kind, runtime) in runtimes() {
        let boom = runtime.spawn(async { panic_quietly("boom") });
        let id = boom.id();
        drop(boom);
        panic_of(|| runtime.block_on(pending::<()>()));
        drop(runtime);
        assert_eq!(reports.panics_of(id).len(), 1, "{kind}");
    }
}

#[test]
fn everybody_who_blocks_on_it_panics() {
    const THREADS: usize = 4;
    for (kind, runtime) in runtimes() {
        let runtime = Arc::new(runtime);
        let all_block = Arc::new(Barrier::new(THREADS + 1));
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (runtime, all_block) = (Arc::clone(&runtime), Arc::clone(&all_block));
                thread::spawn(move || {
                    let mut is_first = true;
                    let blocked = std::future::poll_fn(move |_| {
                        if std::mem::take(&mut is_first) {
                            all_block.wait();
                        }
                        std::task::Poll::<()>::Pending
                    });
                    panic_of(|| match number % 2 {
                        0 => runtime.block_on(blocked),
                        _ => runtime.handle().block_on(blocked),
                    })
                })
            })
            .collect();
        all_block.wait();
        drop(runtime.spawn(async { panic_quietly("boom") }));
        for thread in threads {
            assert_eq!(thread.join().unwrap(), MESSAGE, "{kind}");
        }
        // From now on only what needs no waiting can be had.
        assert_eq!(runtime.block_on(ready(1)), 1, "{kind}");
        assert_eq!(panic_of(|| runtime.block_on(pending::<()>())), MESSAGE);
    }
}

#[test]
fn many_panics_at_once_end_it_once() {
    for (kind, runtime) in runtimes() {
        let handles: Vec<_> = (0..100)
            .map(|_| runtime.spawn(async { panic_quietly("boom") }))
            .collect();
        assert_eq!(
            panic_of(|| runtime.block_on(pending::<()>())),
            MESSAGE,
            "{kind}"
        );
        drop(runtime);
        let all: Vec<_> = handles.into_iter().map(joined).collect();
        assert!(
            all.iter().any(|one| one.as_ref().unwrap_err().is_panic()),
            "{kind}"
        );
    }
}

#[test]
fn panics_that_are_no_spawned_tasks_end_nothing() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let call = task::spawn_blocking(|| panic_quietly("in a call"));
            assert!(call.await.unwrap_err().is_panic());
        });
        let message = panic_of(|| runtime.block_on(async { panic_quietly("one's own") }));
        assert_eq!(message, "one's own", "{kind}");
        runtime.block_on(async { tapio::spawn(async {}).await.unwrap() });
    }
}

#[test]
fn a_panic_is_ignored_unless_the_runtime_was_told_otherwise() {
    for kind in Kind::all() {
        let mut builder = kind.builder();
        let builder = builder.enable_all().unhandled_panic(UnhandledPanic::Ignore);
        let runtime = builder.build().unwrap();
        runtime.block_on(async {
            assert!(tapio::spawn(async { panic_quietly("boom") }).await.is_err());
            tapio::spawn(async {}).await.unwrap();
        });
    }
}

#[test]
fn a_local_set_ends_by_a_panic_and_its_runtime_does_not() {
    for kind in Kind::all() {
        let runtime = kind.build();
        let mut set = LocalSet::new();
        set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        let token = Rc::new(());
        let held = Rc::clone(&token);
        let other = set.spawn_local(async move {
            let _held = held;
            pending::<()>().await;
        });
        let (tell, told) = oneshot::channel::<()>();
        let boom = set.spawn_local(async move {
            told.await.unwrap();
            panic_quietly("boom")
        });
        let message = panic_of(|| {
            set.block_on(&runtime, async {
                tell.send(()).unwrap();
                pending::<()>().await;
            });
        });
        assert_eq!(message, LOCAL_MESSAGE, "{kind}");
        assert!(joined(other).unwrap_err().is_cancelled(), "{kind}");
        assert!(joined(boom).unwrap_err().is_panic(), "{kind}");
        assert_eq!(Rc::strong_count(&token), 1, "{kind}");

        let late = set.spawn_local(async {});
        assert!(joined(late).unwrap_err().is_cancelled(), "{kind}");
        let message = panic_of(|| set.block_on(&runtime, pending::<()>()));
        assert_eq!(message, LOCAL_MESSAGE, "{kind}");
        drop(set);
        runtime.block_on(async { tapio::spawn(async {}).await.unwrap() });
    }
}

#[test]
fn a_local_set_that_was_told_nothing_ignores_panics() {
    for kind in Kind::all() {
        let runtime = kind.build();
        let set = LocalSet::new();
        set.block_on(&runtime, async {
            let boom = task::spawn_local(async { panic_quietly("boom") });
            assert!(boom.await.unwrap_err().is_panic(), "{kind}");
            task::spawn_local(async {}).await.unwrap();
        });
        let mut set = set;
        drop(set.spawn_local(pending::<()>()));
        let message = panic_of(|| {
            set.unhandled_panic(UnhandledPanic::ShutdownRuntime);
        });
        assert!(message.contains("after starting LocalSet"), "{message}");
        runtime.block_on(until(|| true));
    }
}

#[test]
fn the_attributes_know_it() {
    #[tapio::main(flavor = "current_thread", unhandled_panic = "shutdown_runtime")]
    async fn ends() {
        drop(tapio::spawn(async { panic_quietly("boom") }));
        pending::<()>().await;
    }
    #[tapio::main(unhandled_panic = "ignore")]
    async fn goes_on() -> bool {
        tapio::spawn(async { panic_quietly("boom") }).await.is_err()
    }
    assert_eq!(panic_of(ends), MESSAGE);
    assert!(goes_on());
}
