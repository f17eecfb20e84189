//! What looks like a deadlock and is none is not told as one, however long it
//! lasts. Time itself is tested here: each case goes on for several budgets.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tapio::guard::{LockHeld, Report};
use tapio::runtime::Runtime;
use tapio::sync::{Mutex, RwLock, Semaphore};
use tapio::time;

use crate::support::runtimes;
use crate::sync_deadlock::told_after;
use crate::sync_support::{BUDGET, Reports};

/// So many take turns.
const TURNS: u32 = 20;

/// Much shorter than the budget, and all turns together much longer.
const TURN: Duration = Duration::from_millis(60);

/// A hold that is too long.
const LONG: Duration = BUDGET.saturating_mul(3);

/// Runs a case to its end, and returns what was told of locks held for long.
/// Nothing else may be told.
fn held_only(
    runtime: &Runtime,
    reports: &Reports,
    case: impl Future<Output = ()>,
) -> Vec<LockHeld> {
    runtime.block_on(case);
    told_after(runtime, reports);
    let told = reports.so_far().into_iter();
    told.filter_map(|report| match report {
        Report::LockHeld(held) => Some(held),
        Report::LockReleased(_) => None,
        other => panic!("{other}"),
    })
    .collect()
}

/// Polls all of `turns` beside one another in one future.
async fn at_once<F: Future<Output = ()>>(turns: impl IntoIterator<Item = F>) {
    let mut turns: FuturesUnordered<F> = turns.into_iter().collect();
    while turns.next().await.is_some() {}
}

#[test]
fn futures_of_one_task_may_take_turns() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("turns {kind}"));
        let mutex = Arc::new(Mutex::named(reports.name("mutex"), ()));
        let lock = Arc::new(RwLock::named(reports.name("lock"), ()));
        let permits = Arc::new(Semaphore::named(reports.name("permits"), 2));
        // Tasks, and the future of a `block_on` beside them.
        let tasks = runtime.spawn(tasks_that_take_turns(Arc::clone(&mutex), lock, permits));
        held_only(&runtime, &reports, async {
            at_once((0..TURNS).map(|_| async {
                let _held = mutex.lock().await;
                time::sleep(TURN).await;
            }))
            .await;
            tasks.await.unwrap();
        });
    }
}

/// A task of many futures that want a lock which others want as well, one for
/// readers and writers, and one for permits.
async fn tasks_that_take_turns(
    mutex: Arc<Mutex<()>>,
    lock: Arc<RwLock<()>>,
    permits: Arc<Semaphore>,
) {
    let by_mutex = tapio::spawn(async move {
        at_once((0..TURNS).map(|_| async {
            let _held = mutex.lock().await;
            time::sleep(TURN).await;
        }))
        .await;
    });
    let by_lock = tapio::spawn(async move {
        at_once((0..TURNS).map(|turn| {
            let lock = &lock;
            async move {
                if turn % 2 == 0 {
                    let _held = lock.read().await;
                    time::sleep(TURN).await;
                } else {
                    let _held = lock.write().await;
                    time::sleep(TURN).await;
                }
            }
        }))
        .await;
    });
    let by_permits = tapio::spawn(async move {
        at_once((0..2 * TURNS).map(|_| async {
            let _held = permits.acquire().await.unwrap();
            time::sleep(TURN).await;
        }))
        .await;
    });
    for task in [by_mutex, by_lock, by_permits] {
        task.await.unwrap();
    }
}

#[test]
fn one_branch_may_hold_for_long_what_another_waits_for() {
    async fn both(lock: Arc<Mutex<()>>) {
        let hold = async {
            let _held = lock.lock().await;
            time::sleep(LONG).await;
        };
        tapio::join!(hold, async { drop(lock.lock().await) });
    }

    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("long branch {kind}"));
        let in_task = Arc::new(Mutex::named(reports.name("task"), ()));
        let in_main = Arc::new(Mutex::named(reports.name("main"), ()));
        let held = held_only(&runtime, &reports, async {
            let task = tapio::spawn(both(in_task));
            both(in_main).await;
            task.await.unwrap();
        });
        assert_eq!(held.len(), 2, "{held:?}");
        for held in held {
            assert!(held.is_waited_for_by_holder, "{held}");
            assert!(held.to_string().contains("waits for it as well"), "{held}");
        }
    }
}

#[test]
fn a_guard_may_be_given_to_another_task_which_holds_it_for_long() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("given for long {kind}"));
        let lock = Arc::new(Mutex::named(reports.name("lock"), ()));
        let held = held_only(&runtime, &reports, async {
            let giver = tapio::spawn(async move {
                let guard = Arc::clone(&lock).lock_owned().await;
                let taker = tapio::spawn(async move {
                    let _guard = guard;
                    time::sleep(LONG).await;
                });
                drop(lock.lock().await);
                taker.await.unwrap();
            });
            giver.await.unwrap();
        });
        assert_eq!(held.len(), 1, "{held:?}");
        assert!(held[0].may_be_elsewhere, "{}", held[0]);
        assert!(held[0].to_string().contains("given to"), "{}", held[0]);
    }
}

#[test]
fn permits_may_go_with_connections_while_the_one_that_accepts_waits() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("accepts {kind}"));
        let permits = Arc::new(Semaphore::named(reports.name("permits"), 3));
        let held = held_only(&runtime, &reports, async {
            let accepting = tapio::spawn(async move {
                for _ in 0..4 {
                    let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
                    tapio::spawn(async move {
                        let _permit = permit;
                        time::sleep(LONG).await;
                    });
                }
            });
            accepting.await.unwrap();
        });
        assert_eq!(held.len(), 0, "{held:?}");
    }
}

#[test]
fn one_that_waits_for_several_locks_has_branches() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("several {kind}"));
        let locks = ["a", "b", "c"].map(|name| Arc::new(Mutex::named(reports.name(name), ())));
        let [a, b, c] = locks;
        held_only(&runtime, &reports, async {
            // Has `c` in one branch, and waits for the others in two.
            let (first, second, third) = (Arc::clone(&a), Arc::clone(&b), Arc::clone(&c));
            let one = tapio::spawn(async move {
                let hold = async {
                    let _held = third.lock().await;
                    time::sleep(LONG).await;
                };
                tapio::join!(hold, async { drop(first.lock().await) }, async {
                    drop(second.lock().await)
                });
            });
            let two = tapio::spawn(async move {
                let _held = (a.lock().await, b.lock().await);
                time::sleep(TURN).await;
                drop(c.lock().await);
            });
            one.await.unwrap();
            two.await.unwrap();
        });
    }
}

#[test]
fn a_semaphore_that_is_closed_was_given_to_nobody() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("closed {kind}"));
        let permits = Semaphore::named(reports.name("permits"), 1);
        let held = held_only(&runtime, &reports, async {
            let permit = permits.acquire().await.unwrap();
            let mut unpolled = pin!(permits.acquire());
            poll_fn(|cx| {
                assert!(unpolled.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            permits.close();
            drop(permit);
            time::sleep(LONG).await;
            assert!(unpolled.await.is_err());
        });
        assert_eq!(held.len(), 0, "{held:?}");
    }
}
