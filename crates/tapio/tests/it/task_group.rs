//! `TaskGroup`: results, limits, who may spawn. `task_group_end` has its ends.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use tapio::sync::{Semaphore, oneshot};
use tapio::task::{GroupError, TaskGroup, yield_now};

use crate::support::{runtimes, until};

type Result<T> = std::result::Result<T, GroupError<&'static str>>;

#[test]
fn results_come_as_children_end() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let order: Result<Vec<i32>> = TaskGroup::scope(async |group| {
                let mut gates = Vec::new();
                for number in 0..3 {
                    let (open, opened) = oneshot::channel::<()>();
                    gates.push(open);
                    group.spawn(async move {
                        opened.await.map_err(|_| "gate")?;
                        Ok(number)
                    });
                }
                assert_eq!(group.len(), 3);
                let mut order = Vec::new();
                for number in [1, 2, 0] {
                    let gate = std::mem::replace(&mut gates[number], oneshot::channel().0);
                    gate.send(()).expect("the child waits");
                    order.extend(group.next().await);
                }
                assert!(group.is_empty() && group.next().await.is_none());
                Ok(order)
            })
            .await;
            assert_eq!(order.unwrap(), [1, 2, 0], "{kind}");
        });
    }
}

#[test]
fn all_results_come_in_the_order_of_spawning() {
    const CHILDREN: usize = 2_000;
    for (kind, runtime) in runtimes() {
        // In a task, so the scope is `Send`.
        let group = runtime.spawn(TaskGroup::scope(async |group| {
            for number in 0..CHILDREN {
                group.spawn(async move {
                    for _ in 0..number % 7 {
                        yield_now().await;
                    }
                    Ok::<_, &str>(number)
                });
            }
            Ok(group.all().await)
        }));
        let all = runtime.block_on(group).unwrap().unwrap();
        assert!(all.into_iter().eq(0..CHILDREN), "{kind}");
        runtime.block_on(until(|| runtime.metrics().num_alive_tasks() == 0));
    }
}

#[test]
fn the_scope_waits_for_children_whose_results_nobody_took() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let done = Arc::new(AtomicUsize::new(0));
            let value: Result<&str> = TaskGroup::scope(async |group| {
                for _ in 0..10 {
                    let done = Arc::clone(&done);
                    group.spawn(async move {
                        yield_now().await;
                        done.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    });
                }
                Ok("value")
            })
            .await;
            assert_eq!(value.unwrap(), "value", "{kind}");
            assert_eq!(done.load(Ordering::SeqCst), 10, "{kind}");
        });
    }
}

#[test]
fn no_more_children_run_than_the_limit_and_as_many() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let running = Arc::new(AtomicUsize::new(0));
            let gate = Arc::new(Semaphore::new(0));
            let order: Result<Vec<usize>> = TaskGroup::scope(async |group| {
                group.limit(2);
                for number in 0..6 {
                    let (running, gate) = (Arc::clone(&running), Arc::clone(&gate));
                    group.spawn(async move {
                        running.fetch_add(1, Ordering::SeqCst);
                        gate.acquire().await.unwrap().forget();
                        running.fetch_sub(1, Ordering::SeqCst);
                        Ok(number)
                    });
                }
                let mut order = Vec::new();
                for left in (0..6).rev() {
                    until(|| running.load(Ordering::SeqCst) == 2.min(left + 1)).await;
                    for _ in 0..20 {
                        yield_now().await;
                        assert!(running.load(Ordering::SeqCst) <= 2, "{kind}");
                    }
                    assert_eq!(group.len(), left + 1, "{kind}");
                    gate.add_permits(1);
                    order.extend(group.next().await);
                }
                Ok(order)
            })
            .await;
            let mut order = order.unwrap();
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4, 5], "{kind}");
        });
    }
}

#[test]
fn a_reserved_place_is_waited_for_and_given_up() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let all: Result<Vec<i32>> = TaskGroup::scope(async |group| {
                group.limit(1);
                let place = group.reserve().await;
                let mut cx = Context::from_waker(Waker::noop());
                assert!(pin!(group.reserve()).poll(&mut cx).is_pending(), "{kind}");
                drop(place);
                let (open, opened) = oneshot::channel::<()>();
                group.reserve().await.spawn(async move {
                    opened.await.map_err(|_| "gate")?;
                    Ok(1)
                });
                let mut second = pin!(group.reserve());
                assert!(second.as_mut().poll(&mut cx).is_pending(), "{kind}");
                open.send(()).unwrap();
                second.await.spawn(async { Ok(2) });
                Ok(group.all().await)
            })
            .await;
            assert_eq!(all.unwrap(), [1, 2], "{kind}");
        });
    }
}

#[test]
fn children_spawn_siblings_until_the_group_is_over() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut kept = None;
            let count: Result<usize> = TaskGroup::scope(async |group| {
                let spawner = group.spawner();
                kept = Some(spawner.clone());
                group.spawn(async move {
                    yield_now().await;
                    for _ in 0..5 {
                        let inner = spawner.clone();
                        let sibling = async move {
                            yield_now().await;
                            inner.spawn(async { Ok(2) }).map_err(|_| "refused")?;
                            Ok(1)
                        };
                        spawner.spawn(sibling).map_err(|_| "refused")?;
                    }
                    Ok(0)
                });
                Ok(group.all().await.len())
            })
            .await;
            assert_eq!(count.unwrap(), 11, "{kind}");
            let spawner = kept.unwrap();
            let refused = spawner
                .spawn(async { Ok(3) })
                .expect_err("the group is over");
            assert_eq!(refused.await, Ok(3), "{kind}: and gives it back");
        });
    }
}

#[test]
fn a_body_that_has_what_it_wants_cancels_the_rest() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let alive = Arc::new(());
            let first: Result<Option<i32>> = TaskGroup::scope(async |group| {
                for number in 0..3 {
                    let alive = Arc::clone(&alive);
                    group.spawn(async move {
                        let _alive = alive;
                        if number > 0 {
                            pending::<()>().await;
                        }
                        Ok(number)
                    });
                }
                let first = group.next().await;
                group.cancel();
                // It is over for the others, and not for the group.
                assert_eq!(group.next().await, None, "{kind}");
                group.spawn(async { Ok(9) });
                assert_eq!(group.next().await, Some(9), "{kind}");
                Ok(first)
            })
            .await;
            assert_eq!(first.unwrap(), Some(0), "{kind}");
            assert_eq!(Arc::strong_count(&alive), 1, "{kind}");
        });
    }
}

#[test]
fn blocking_calls_are_children() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let all: Result<Vec<i32>> = TaskGroup::scope(async |group| {
                group.limit(1);
                group.spawn_blocking(|| Ok(1));
                group.spawn_blocking(|| Ok(2));
                Ok(group.all().await)
            })
            .await;
            assert_eq!(all.unwrap(), [1, 2], "{kind}");
            let failed: Result<Vec<i32>> = TaskGroup::scope(async |group| {
                group.spawn_blocking(|| panic!("of the call"));
                Ok(group.all().await)
            })
            .await;
            assert!(
                failed.unwrap_err().to_string().contains("of the call"),
                "{kind}"
            );
        });
    }
}
