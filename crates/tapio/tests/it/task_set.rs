//! `JoinSet`.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tapio::sync::{Semaphore, oneshot};
use tapio::task::{JoinSet, LocalSet, yield_now};

use crate::support::runtimes;

#[test]
fn results_come_as_tasks_end() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            let mut gates = Vec::new();
            for number in 0..3 {
                let (open, opened) = oneshot::channel::<()>();
                gates.push(open);
                set.spawn(async move {
                    let _ = opened.await;
                    number
                });
            }
            assert_eq!(set.len(), 3, "{kind}");
            assert!(set.try_join_next().is_none(), "{kind}");
            for number in [1, 2, 0] {
                let gate = std::mem::replace(&mut gates[number], oneshot::channel().0);
                gate.send(()).expect("the task waits");
                let joined = set.join_next().await.expect("tasks are left");
                assert_eq!(joined.expect("it ends"), number, "{kind}");
            }
            assert!(set.is_empty() && set.join_next().await.is_none(), "{kind}");
        });
    }
}

#[test]
fn ids_and_errors_belong_together() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            let good = set.spawn(async { 1 }).id();
            let bad = set.spawn(async { panic!("bad") }).id();
            let aborted = set.spawn(pending());
            aborted.abort();
            for _ in 0..3 {
                match set.join_next_with_id().await.expect("three tasks") {
                    Ok((id, output)) => assert_eq!((id, output), (good, 1), "{kind}"),
                    Err(error) if error.is_panic() => assert_eq!(error.id(), bad, "{kind}"),
                    Err(error) => assert_eq!(error.id(), aborted.id(), "{kind}"),
                }
            }
            assert!(set.try_join_next_with_id().is_none(), "{kind}");
        });
    }
}

#[test]
fn many_tasks_that_have_ended_are_all_there() {
    const TASKS: usize = 1_000;
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut set: JoinSet<usize> = (0..TASKS).map(|n| async move { n }).collect();
            set.extend((0..TASKS).map(|n| async move { n }));
            while runtime.metrics().num_alive_tasks() > 0 {
                yield_now().await;
            }
            // No budget stands in the way of a call that cannot wait.
            let mut seen = vec![0; TASKS];
            while let Some(joined) = set.try_join_next() {
                seen[joined.expect("it ends")] += 1;
            }
            assert!(seen.iter().all(|&times| times == 2), "{kind}");
            assert!(set.is_empty(), "{kind}");
        });
    }
}

#[test]
fn waiting_gives_way_to_neighbours() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut set: JoinSet<()> = (0..300).map(|_| async {}).collect();
            while runtime.metrics().num_alive_tasks() > 0 {
                yield_now().await;
            }
            // One poll takes its budget's worth and no more.
            let mut pendings = 0;
            poll_fn(|cx| {
                loop {
                    match set.poll_join_next(cx) {
                        Poll::Ready(Some(joined)) => joined.expect("it ends"),
                        Poll::Ready(None) => return Poll::Ready(()),
                        Poll::Pending => {
                            pendings += 1;
                            return Poll::Pending;
                        }
                    }
                }
            })
            .await;
            assert!(pendings >= 2, "{kind}: {pendings}");
        });
    }
}

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn one_wake_for_any_number_of_ends() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let gate = Arc::new(Semaphore::new(0));
            let mut set: JoinSet<()> = (0..50)
                .map(|_| {
                    let gate = Arc::clone(&gate);
                    async move { drop(gate.acquire().await.expect("open")) }
                })
                .collect();
            let wakes = Arc::new(Wakes::default());
            let waker = Waker::from(Arc::clone(&wakes));
            let mut cx = Context::from_waker(&waker);
            assert!(set.poll_join_next(&mut cx).is_pending(), "{kind}");
            gate.add_permits(50);
            while runtime.metrics().num_alive_tasks() > 0 {
                yield_now().await;
            }
            assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "{kind}");
            assert_eq!(set.join_all().await.len(), 50, "{kind}");
        });
    }
}

#[test]
fn shutdown_waits_for_the_ends_it_asked_for() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let alive = Arc::new(());
            let mut set = JoinSet::new();
            for _ in 0..10 {
                let alive = Arc::clone(&alive);
                set.spawn(async move {
                    let _alive = alive;
                    pending::<()>().await;
                });
            }
            set.shutdown().await;
            assert!(set.is_empty(), "{kind}");
            assert_eq!(Arc::strong_count(&alive), 1, "{kind}");
        });
    }
}

#[test]
fn a_dropped_set_aborts_and_a_detached_one_does_not() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut set = JoinSet::new();
            let (kept, end) = oneshot::channel::<()>();
            set.spawn(async move {
                let _kept = kept;
                pending::<()>().await;
            });
            drop(set);
            assert!(end.await.is_err(), "{kind}: its sender was dropped");

            let mut set = JoinSet::new();
            let (go, gone) = oneshot::channel::<()>();
            let (ended, end) = oneshot::channel();
            set.spawn(async move {
                let _ = gone.await;
                let _ = ended.send(());
            });
            set.detach_all();
            assert!(set.is_empty(), "{kind}");
            drop(set);
            go.send(()).expect("the task waits");
            end.await.expect("the task goes on");
        });
    }
}

#[test]
fn join_all_passes_a_panic_on_and_aborts_the_rest() {
    for (kind, runtime) in runtimes() {
        let alive = Arc::new(());
        let member = Arc::clone(&alive);
        let joined = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let mut set = JoinSet::new();
                set.spawn(async move {
                    let _member = member;
                    pending::<()>().await;
                });
                set.spawn(async { panic!("of a member") });
                set.join_all().await
            })
        }));
        let payload = joined.expect_err("it panics");
        assert_eq!(
            payload.downcast_ref::<&str>(),
            Some(&"of a member"),
            "{kind}"
        );
        runtime.block_on(async {
            while Arc::strong_count(&alive) > 1 {
                yield_now().await;
            }
        });
    }
}

#[test]
fn every_way_to_spawn_makes_a_member() {
    for (kind, runtime) in runtimes() {
        let local = LocalSet::new();
        let mut set = JoinSet::new();
        set.spawn_on(async { 1 }, runtime.handle());
        set.spawn_blocking_on(|| 2, runtime.handle());
        set.spawn_local_on(async { *Rc::new(3) }, &local);
        let sum = local.block_on(&runtime, async {
            set.spawn(async { 4 });
            set.spawn_blocking(|| 5);
            set.spawn_local(async { *Rc::new(6) });
            set.join_all().await.into_iter().sum::<i32>()
        });
        assert_eq!(sum, 21, "{kind}");
    }
}

#[test]
fn a_member_that_ended_before_it_was_entered_is_heard_of() {
    for (kind, runtime) in runtimes() {
        let handle = runtime.handle().clone();
        drop(runtime);
        // A runtime that has ended cancels tasks as they are spawned.
        let mut set = JoinSet::new();
        set.spawn_on(async {}, &handle);
        let joined = set.try_join_next().expect("it has ended");
        assert!(joined.expect_err("refused").is_cancelled(), "{kind}");
    }
}
