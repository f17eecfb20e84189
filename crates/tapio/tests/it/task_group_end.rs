//! How a `TaskGroup` ends, and that nothing is left of it.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tapio::guard::{Report, on_report};
use tapio::runtime::Runtime;
use tapio::sync::oneshot;
use tapio::task::{Failure, GroupError, TaskGroup, yield_now};
use tapio::time::Instant;

use crate::support::{runtimes, until};

type Group = TaskGroup<(), &'static str>;

/// A child that waits for ever, and what tells that it has ended.
fn child_with(alive: &Arc<()>) -> impl Future<Output = Result<(), &'static str>> + use<> {
    let alive = Arc::clone(alive);
    async move {
        let _alive = alive;
        pending().await
    }
}

fn is_over(alive: &Arc<()>) -> bool {
    Arc::strong_count(alive) == 1
}

fn no_tasks(runtime: &Runtime) {
    runtime.block_on(until(|| runtime.metrics().num_alive_tasks() == 0));
}

#[test]
fn the_first_error_cancels_the_others_and_the_body_and_comes_out_when_all_ended() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let alive = Arc::new(());
            let line = line!() + 6;
            let error = TaskGroup::scope(async |group: Group| {
                for _ in 0..5 {
                    group.spawn(child_with(&alive));
                }
                let body = Arc::clone(&alive);
                group.spawn(async { Err("first") });
                pending::<()>().await;
                drop(body);
                Ok(())
            })
            .await
            .unwrap_err();
            assert!(is_over(&alive), "{kind}");
            assert!(
                error.later().is_empty(),
                "{kind}: being cancelled is no failure"
            );
            let Failure::Failed {
                error: "first",
                task: Some(task),
                ..
            } = error.first()
            else {
                panic!("{kind}: {error:?}");
            };
            assert_eq!(
                (task.spawned_at.file(), task.spawned_at.line()),
                (file!(), line)
            );
            let text = error.to_string();
            assert!(text.contains(&format!("{}:{line}", file!())), "{text}");
            assert_eq!(error.into_error().unwrap(), "first", "{kind}");
        });
        no_tasks(&runtime);
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("of the bomb");
    }
}

#[test]
fn what_children_do_while_they_are_cancelled_is_attached() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (go, gone) = mpsc::channel();
            let (begun, has_begun) = oneshot::channel();
            let error = TaskGroup::scope(async |group: Group| {
                group.spawn_blocking(move || {
                    let _ = begun.send(());
                    // Open when the body is dropped.
                    let _ = gone.recv();
                    Err("second")
                });
                has_begun.await.unwrap();
                let _go: mpsc::Sender<()> = go;
                let (armed, is_armed) = oneshot::channel();
                group.spawn(async {
                    let _bomb = Bomb;
                    let _ = armed.send(());
                    pending().await
                });
                is_armed.await.unwrap();
                group.spawn(async { Err("first") });
                Ok(group.all().await)
            })
            .await
            .unwrap_err();
            assert!(
                matches!(error.first(), Failure::Failed { error: "first", .. }),
                "{kind}"
            );
            assert_eq!(error.later().len(), 2, "{kind}: {error}");
            let text = error.to_string();
            assert!(
                text.contains("of the bomb") && text.contains("failed: second"),
                "{text}"
            );
        });
        no_tasks(&runtime);
    }
}

#[test]
fn a_panic_comes_out_with_its_payload() {
    #[derive(Debug, PartialEq)]
    struct Payload(u32);
    for (kind, runtime) in runtimes() {
        let alive = Arc::new(());
        let failed = runtime.block_on(TaskGroup::scope(async |group: Group| {
            group.spawn(child_with(&alive));
            group.spawn(async { panic_any(Payload(7)) });
            Ok(group.all().await)
        }));
        let error = failed.unwrap_err();
        assert!(error.is_panic() && is_over(&alive), "{kind}");
        let payload = catch_unwind(AssertUnwindSafe(|| error.resume_panic())).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&Payload(7)), "{kind}");
        no_tasks(&runtime);
    }
}

#[test]
fn a_deadline_says_who_was_left() {
    for (kind, runtime) in runtimes() {
        let alive = Arc::new(());
        let (some, one) = (line!() + 5, line!() + 7);
        let failed = runtime.block_on(TaskGroup::scope(async |group: Group| {
            group.limit(2);
            group.deadline(Instant::now() + Duration::from_millis(20));
            for _ in 0..3 {
                group.spawn(child_with(&alive));
            }
            group.spawn(child_with(&alive));
            Ok(group.all().await)
        }));
        assert!(is_over(&alive), "{kind}");
        let error = failed.unwrap_err();
        assert!(error.is_timed_out(), "{kind}");
        let Failure::TimedOut { after, left, .. } = error.first() else {
            panic!("{kind}: {error}");
        };
        assert!(*after >= Duration::from_millis(20), "{kind}");
        let lines: Vec<_> = left.iter().map(|(at, count)| (at.line(), *count)).collect();
        assert_eq!(lines, [(some, 3), (one, 1)], "{kind}");
        let text = error.to_string();
        assert!(
            text.contains("with 4 children left: 3 spawned at"),
            "{text}"
        );
        no_tasks(&runtime);
    }
}

#[test]
fn a_deadline_ends_a_body_and_the_wait_for_children_after_it() {
    for (kind, runtime) in runtimes() {
        let failed = runtime.block_on(TaskGroup::scope(async |group: Group| {
            group.timeout(Duration::from_secs(3_600));
            group.timeout(Duration::from_millis(1));
            pending::<()>().await;
            Ok(())
        }));
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("with 0 children left"), "{kind}: {text}");
        let failed = runtime.block_on(TaskGroup::scope(async |group: Group| {
            group.timeout(Duration::from_millis(1));
            group.spawn(pending());
            Ok(())
        }));
        assert!(failed.unwrap_err().is_timed_out(), "{kind}");
        no_tasks(&runtime);
    }
}

#[test]
fn a_body_that_fails_or_panics_takes_its_children_along() {
    for (kind, runtime) in runtimes() {
        let alive = Arc::new(());
        let failed = runtime.block_on(TaskGroup::scope(async |group: Group| {
            group.spawn(child_with(&alive));
            yield_now().await;
            Err::<(), _>("of the body")
        }));
        assert!(is_over(&alive), "{kind}");
        let error = failed.unwrap_err();
        assert!(
            error.to_string().contains("its body failed: of the body"),
            "{kind}"
        );

        let panicked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(TaskGroup::scope(async |group: Group| {
                group.spawn(child_with(&alive));
                yield_now().await;
                if !is_over(&alive) {
                    panic!("of the body");
                }
                Ok(())
            }))
        }));
        assert!(is_over(&alive), "{kind}: ended before the panic came out");
        let payload = panicked.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"of the body"), "{kind}");
        no_tasks(&runtime);
    }
}

#[test]
fn a_scope_that_is_dropped_aborts_and_says_when_all_have_ended() {
    for (kind, runtime) in runtimes() {
        let alive = Arc::new(());
        runtime.block_on(async {
            let (running, runs) = oneshot::channel();
            let kept = Arc::clone(&alive);
            let scope = TaskGroup::scope(async move |group: Group| {
                group.spawn(child_with(&kept));
                group.spawn(child_with(&kept));
                drop(kept);
                yield_now().await;
                let _ = running.send(());
                Ok(group.all().await)
            });
            let ended = scope.ended();
            let scope = tapio::spawn(scope);
            runs.await.unwrap();
            scope.abort();
            assert!(scope.await.unwrap_err().is_cancelled(), "{kind}");
            ended.wait().await;
            assert!(is_over(&alive), "{kind}");
        });
        no_tasks(&runtime);
    }
}

#[test]
fn an_outer_group_ends_after_what_was_begun_in_inner_ones() {
    for (kind, runtime) in runtimes() {
        let alive = Arc::new(());
        for _ in 0..50 {
            let failed = runtime.block_on(TaskGroup::scope(async |outer: Group| {
                let alive = Arc::clone(&alive);
                let (running, runs) = oneshot::channel();
                outer.spawn(async move {
                    let nested = TaskGroup::scope(async |inner: Group| {
                        for _ in 0..20 {
                            inner.spawn(child_with(&alive));
                        }
                        drop(alive);
                        yield_now().await;
                        let _ = running.send(());
                        Ok(inner.all().await)
                    });
                    nested.await.map(drop).map_err(|_| "inner")
                });
                runs.await.unwrap();
                Err::<(), _>("outer")
            }));
            assert_eq!(failed.unwrap_err().into_error().unwrap(), "outer", "{kind}");
            assert!(is_over(&alive), "{kind}");
        }
        no_tasks(&runtime);
    }
}

#[test]
fn inner_failures_are_results_of_the_outer_child() {
    for (kind, runtime) in runtimes() {
        let outer = runtime.block_on(TaskGroup::scope(async |outer| {
            outer.spawn(async {
                let inner = TaskGroup::scope(async |inner: Group| {
                    inner.spawn(async { Err("inner") });
                    Ok(inner.all().await)
                });
                inner.await.map_err(GroupError::into_error)
            });
            Ok(outer.all().await)
        }));
        let inner = outer.unwrap_err().into_error().unwrap();
        assert_eq!(inner.unwrap(), "inner", "{kind}");
    }
}

#[test]
fn failures_that_nobody_hears_of_are_reported() {
    for (kind, runtime) in runtimes() {
        let (heard, reports) = mpsc::channel();
        let heard = Mutex::new(heard);
        let listening = on_report(move |report| {
            if let Report::GroupFailuresLost(lost) = report
                && lost.group_at.file() == file!()
            {
                let _ = heard.lock().unwrap().send(report.to_string());
            }
        });
        runtime.block_on(async {
            let (hold, held) = mpsc::channel::<()>();
            let (body_ends, body_ended) = oneshot::channel::<()>();
            let (begun, has_begun) = oneshot::channel();
            let scope = TaskGroup::scope(async move |group: Group| {
                let _body_ends = body_ends;
                group.spawn_blocking(move || {
                    let _ = begun.send(());
                    let _ = held.recv();
                    Err("late")
                });
                has_begun.await.unwrap();
                group.spawn(async { panic!("early") });
                Ok(group.all().await)
            });
            let ended = scope.ended();
            let scope = tapio::spawn(scope);
            // The child has failed, and the scope waits for the call.
            assert!(body_ended.await.is_err(), "{kind}");
            scope.abort();
            assert!(scope.await.unwrap_err().is_cancelled(), "{kind}");
            let report = reports.recv_timeout(Duration::from_secs(30)).unwrap();
            assert!(report.contains("early"), "{kind}: {report}");
            drop(hold);
            ended.wait().await;
            let report = reports.recv_timeout(Duration::from_secs(30)).unwrap();
            assert!(report.contains("returned an error"), "{kind}: {report}");
        });
        drop(listening);
    }
}

#[test]
fn a_child_of_a_runtime_that_has_ended_is_a_failure() {
    for (kind, runtime) in runtimes() {
        let ended = kind.build().handle().clone();
        let failed = runtime.block_on(TaskGroup::scope(async |group: Group| {
            {
                let _inside = ended.enter();
                group.spawn(async { Ok(()) });
            }
            Ok(group.all().await)
        }));
        let error = failed.unwrap_err();
        assert!(
            matches!(error.first(), Failure::Cancelled { .. }),
            "{kind}: {error}"
        );
    }
}
