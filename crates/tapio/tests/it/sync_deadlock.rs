//! Tasks that wait for one another's locks are reported when the circle
//! closes, with every task, lock and line in it.

use std::sync::Arc;
use std::time::Duration;

use tapio::guard::LockUser;
use tapio::runtime::Runtime;
use tapio::sync::{Mutex, oneshot};
use tapio::task::JoinHandle;
use tapio::time;

use crate::support::{counted, runtimes};
use crate::sync_support::{NEVER, Reports, ends, party_of};

type Lock = Arc<Mutex<()>>;

fn lock(reports: &Reports, name: &str) -> Lock {
    Arc::new(Mutex::named(reports.name(name), ()))
}

/// A task that has `first`, says so, and takes `second` when told to.
fn taker(
    runtime: &Runtime,
    first: &Lock,
    second: &Lock,
) -> (JoinHandle<()>, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (first, second) = (Arc::clone(first), Arc::clone(second));
    let (has, is_held) = oneshot::channel();
    let (go, go_on) = oneshot::channel();
    let task = runtime.spawn(async move {
        let _first = first.lock().await;
        has.send(()).unwrap();
        go_on.await.unwrap();
        let _second = second.lock().await;
    });
    (task, is_held, go)
}

/// Aborts one, after which all others end.
fn resolve(runtime: &Runtime, mut tasks: Vec<JoinHandle<()>>) {
    let first = tasks.remove(0);
    first.abort();
    runtime.block_on(async {
        assert!(first.await.unwrap_err().is_cancelled());
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn two_tasks_are_told_with_their_locks_and_lines() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("two {kind}"));
        let (a, b) = (lock(&reports, "a"), lock(&reports, "b"));
        let (one, one_has, one_goes) = taker(&runtime, &a, &b);
        let (two, two_has, two_goes) = taker(&runtime, &b, &a);
        runtime.block_on(async {
            one_has.await.unwrap();
            two_has.await.unwrap();
            one_goes.send(()).unwrap();
            two_goes.send(()).unwrap();
            drive(&reports).await;
        });
        let deadlock = reports.deadlock();
        assert_eq!(deadlock.parties.len(), 2, "{deadlock}");
        assert_eq!(deadlock.lasted, None, "{deadlock}");
        let party = party_of(&deadlock, &one);
        assert_eq!(ends(&party), (vec!["a".into()], vec!["b".into()]));
        let LockUser::Task(info) = &party.user else {
            panic!("{deadlock}");
        };
        assert!(info.spawned_at.file().ends_with("sync_deadlock.rs"));
        assert_eq!(party.waits[0].at.line(), party.holds[0].at.line() + 3);
        let party = party_of(&deadlock, &two);
        assert_eq!(ends(&party), (vec!["b".into()], vec!["a".into()]));
        let text = deadlock.to_string();
        assert!(text.contains("sync_deadlock.rs:"), "{text}");
        assert!(
            text.lines().last().unwrap().starts_with("  help: "),
            "{text}"
        );
        resolve(&runtime, vec![one, two]);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
    }
}

/// Lets a runtime of one thread run until a report is there to be read.
pub(crate) async fn drive(reports: &Reports) {
    let limit = time::Instant::now() + NEVER;
    while !reports.is_there() {
        assert!(time::Instant::now() < limit, "no report");
        tapio::task::yield_now().await;
    }
}

#[test]
fn three_tasks_are_one_circle() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("three {kind}"));
        let locks = ["a", "b", "c"].map(|name| lock(&reports, name));
        let tasks: Vec<_> = (0..3)
            .map(|i| taker(&runtime, &locks[i], &locks[(i + 1) % 3]))
            .collect();
        let mut handles = vec![];
        runtime.block_on(async {
            let mut senders = vec![];
            for (task, has, goes) in tasks {
                has.await.unwrap();
                senders.push(goes);
                handles.push(task);
            }
            for goes in senders {
                goes.send(()).unwrap();
            }
            drive(&reports).await;
        });
        let deadlock = reports.deadlock();
        assert_eq!(deadlock.parties.len(), 3, "{deadlock}");
        for (i, task) in handles.iter().enumerate() {
            let names = ["a", "b", "c"];
            let expected = (vec![names[i].into()], vec![names[(i + 1) % 3].into()]);
            assert_eq!(ends(&party_of(&deadlock, task)), expected);
        }
        resolve(&runtime, handles);
    }
}

#[test]
fn a_task_that_locks_what_it_holds_is_told_at_once() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("self {kind}"));
        let a = lock(&reports, "a");
        let taken = Arc::clone(&a);
        let task = runtime.spawn(async move {
            let _one = taken.lock().await;
            let _other = taken.lock().await;
        });
        runtime.block_on(drive(&reports));
        let deadlock = reports.deadlock();
        assert_eq!(deadlock.parties.len(), 1, "{deadlock}");
        assert_eq!(deadlock.lasted, None, "{deadlock}");
        let party = party_of(&deadlock, &task);
        assert_eq!(ends(&party), (vec!["a".into()], vec!["a".into()]));
        resolve(&runtime, vec![task]);
        assert!(a.try_lock().is_ok());
    }
}

#[test]
fn branches_of_one_task_may_wait_for_each_other() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("branches {kind}"));
        let a = lock(&reports, "a");
        runtime.block_on(async {
            let taken = Arc::clone(&a);
            let task = tapio::spawn(async move {
                let (go, go_on) = oneshot::channel();
                let mut go = Some(go);
                let hold = async {
                    let _held = taken.lock().await;
                    go_on.await.unwrap();
                    // A few rounds of the guard.
                    time::sleep(Duration::from_millis(30)).await;
                };
                let wait = counted(async { drop(taken.lock().await) }, || {
                    if let Some(go) = go.take() {
                        go.send(()).unwrap();
                    }
                });
                tapio::join!(hold, wait);
            });
            task.await.unwrap();
        });
        // What comes after has been looked at after.
        told_after(&runtime, &reports);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
    }
}

/// Brings about a deadlock and waits until it is told: what was to be told
/// before has been, and is read before it.
pub(crate) fn told_after(runtime: &Runtime, reports: &Reports) {
    let marks = Reports::on(reports.name("mark"));
    let mark = Arc::new(Mutex::named(marks.name("mark"), ()));
    let task = runtime.spawn(async move {
        let _one = mark.lock().await;
        let _other = mark.lock().await;
    });
    runtime.block_on(drive(&marks));
    let deadlock = marks.deadlock();
    party_of(&deadlock, &task);
    resolve(runtime, vec![task]);
    // The mark's own, which the outer prefix has let pass.
    assert!(reports.take_mark(&deadlock));
}

#[test]
fn a_circle_under_a_timeout_is_told_when_it_has_lasted() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("timeout {kind}"));
        let (a, b) = (lock(&reports, "a"), lock(&reports, "b"));
        let (two, two_has, two_goes) = taker(&runtime, &b, &a);
        runtime.block_on(two_has).unwrap();
        let (first, second) = (Arc::clone(&a), Arc::clone(&b));
        let (has, one_has) = oneshot::channel();
        let one = runtime.spawn(async move {
            let _first = first.lock().await;
            has.send(()).unwrap();
            // Once the other waits there is a circle; it ends long after the
            // report is due.
            let taken = time::timeout(Duration::from_secs(3), second.lock()).await;
            assert!(taken.is_err());
        });
        runtime.block_on(async {
            one_has.await.unwrap();
            two_goes.send(()).unwrap();
            one.await.unwrap();
            two.await.unwrap();
        });
        let deadlock = reports.deadlock();
        assert!(deadlock.lasted.is_some(), "{deadlock}");
        assert_eq!(deadlock.parties.len(), 2, "{deadlock}");
        assert!(deadlock.to_string().contains("as it seems"), "{deadlock}");
    }
}

#[test]
fn one_that_gave_up_before_is_in_no_circle() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("gave-up {kind}"));
        let (a, b) = (lock(&reports, "a"), lock(&reports, "b"));
        let (two, two_has, two_goes) = taker(&runtime, &b, &a);
        runtime.block_on(async {
            two_has.await.unwrap();
            let (first, second) = (Arc::clone(&a), Arc::clone(&b));
            let (go, go_on) = oneshot::channel::<()>();
            let (waits, is_waiting) = oneshot::channel();
            let mut waits = Some(waits);
            let one = tapio::spawn(async move {
                let _first = first.lock().await;
                let waiting = counted(second.lock(), || {
                    if let Some(waits) = waits.take() {
                        waits.send(()).unwrap();
                    }
                });
                tapio::select! {
                    _ = waiting => panic!("it is held"),
                    done = go_on => done.unwrap(),
                }
                // It holds the first, and waits for nothing.
                std::future::pending::<()>().await;
            });
            is_waiting.await.unwrap();
            go.send(()).unwrap();
            tapio::task::yield_now().await;
            two_goes.send(()).unwrap();
            one.abort();
            assert!(one.await.unwrap_err().is_cancelled());
            two.await.unwrap();
        });
        told_after(&runtime, &reports);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
    }
}

#[test]
fn a_guard_given_away_is_no_proof() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("given {kind}"));
        let (a, b) = (lock(&reports, "a"), lock(&reports, "b"));
        let (two, two_has, two_goes) = taker(&runtime, &b, &a);
        runtime.block_on(two_has).unwrap();
        let (give, given) = oneshot::channel();
        let (first, second) = (Arc::clone(&a), Arc::clone(&b));
        let one = runtime.spawn(async move {
            let guard = first.lock_owned().await;
            give.send(guard).unwrap();
            let _second = second.lock().await;
        });
        runtime.block_on(async {
            let guard = given.await.unwrap();
            two_goes.send(()).unwrap();
            // Both wait; whoever has the guard lets them go on.
            for _ in 0..100 {
                tapio::task::yield_now().await;
            }
            drop(guard);
            one.await.unwrap();
            two.await.unwrap();
        });
        told_after(&runtime, &reports);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
    }
}

#[test]
fn an_owned_guard_whose_owner_waits_for_it_is_told_as_a_lock_held_for_long() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("owned {kind}"));
        let a = lock(&reports, "a");
        let task = runtime.spawn(async move {
            let _one = Arc::clone(&a).lock_owned().await;
            let _other = a.lock_owned().await;
        });
        runtime.block_on(drive(&reports));
        // Somebody else may have the guard: that would be no deadlock.
        let held = reports.held();
        assert!(held.is_waited_for_by_holder, "{held}");
        assert!(held.may_be_elsewhere, "{held}");
        resolve(&runtime, vec![task]);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
    }
}

#[test]
fn a_blocking_thread_takes_part() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("blocking {kind}"));
        let (a, b) = (lock(&reports, "a"), lock(&reports, "b"));
        let (task, has, goes) = taker(&runtime, &a, &b);
        runtime.block_on(async {
            has.await.unwrap();
            let (first, second) = (Arc::clone(&b), Arc::clone(&a));
            let (say, said) = oneshot::channel();
            let thread = tapio::task::spawn_blocking(move || {
                let _first = first.blocking_lock();
                say.send(()).unwrap();
                let _second = second.blocking_lock();
            });
            said.await.unwrap();
            goes.send(()).unwrap();
            drive(&reports).await;
            let deadlock = reports.deadlock();
            assert_eq!(deadlock.lasted, None, "{deadlock}");
            let party = party_of(&deadlock, &task);
            assert_eq!(ends(&party), (vec!["a".into()], vec!["b".into()]));
            let thread_party = deadlock.parties.iter().find(
                |party| matches!(&party.user, LockUser::Task(info) if info.id == thread.id()),
            );
            let ends = ends(thread_party.unwrap_or_else(|| panic!("{deadlock}")));
            assert_eq!(ends, (vec!["b".into()], vec!["a".into()]));
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            thread.await.unwrap();
        });
    }
}

#[test]
fn the_future_of_a_block_on_takes_part() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("block_on {kind}"));
        let (a, b) = (lock(&reports, "a"), lock(&reports, "b"));
        let (task, has, goes) = taker(&runtime, &a, &b);
        let abort = task.abort_handle();
        let watcher = std::thread::spawn(move || {
            let deadlock = reports.deadlock();
            abort.abort();
            deadlock
        });
        runtime.block_on(async {
            has.await.unwrap();
            let _first = b.lock().await;
            goes.send(()).unwrap();
            let _second = a.lock().await;
        });
        let deadlock = watcher.join().unwrap();
        party_of(&deadlock, &task);
        let main = deadlock
            .parties
            .iter()
            .find(|party| matches!(party.user, LockUser::BlockOn(_)));
        let ends = ends(main.unwrap_or_else(|| panic!("{deadlock}")));
        assert_eq!(ends, (vec!["b".into()], vec!["a".into()]));
    }
}

#[test]
fn the_future_of_a_block_on_that_waits_for_itself_is_told_at_once() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("main {kind}"));
        let lock = Mutex::named(reports.name("a"), ());
        let lock: &'static Mutex<()> = Box::leak(Box::new(lock));
        // Where somebody can get at the guard, to end it.
        let guard = Arc::new(std::sync::Mutex::new(None));
        let kept = Arc::clone(&guard);
        let watcher = std::thread::spawn(move || {
            let deadlock = reports.deadlock();
            drop(kept.lock().unwrap().take());
            deadlock
        });
        let line = line!() + 1;
        runtime.block_on(async {
            *guard.lock().unwrap() = Some(lock.lock().await);
            drop(lock.lock().await);
        });
        let deadlock = watcher.join().unwrap();
        assert_eq!(deadlock.lasted, None, "{deadlock}");
        assert_eq!(deadlock.parties.len(), 1, "{deadlock}");
        let LockUser::BlockOn(at) = deadlock.parties[0].user else {
            panic!("{deadlock}");
        };
        assert_eq!((at.file(), at.line()), (file!(), line));
        let text = deadlock.to_string();
        assert!(text.contains("it will not end by itself"), "{text}");
    }
}

#[test]
fn threads_without_any_runtime_are_told() {
    let reports = Reports::on("threads");
    let (a, b) = (lock(&reports, "a"), lock(&reports, "b"));
    let both = Arc::new(std::sync::Barrier::new(2));
    let threads = [(&a, &b), (&b, &a)].map(|(first, second)| {
        let (first, second) = (Arc::clone(first), Arc::clone(second));
        let both = Arc::clone(&both);
        std::thread::Builder::new()
            .name("locker".into())
            .spawn(move || {
                let _first = first.blocking_lock();
                both.wait();
                let _second = second.blocking_lock();
            })
            .unwrap()
    });
    let deadlock = reports.deadlock();
    assert_eq!(deadlock.lasted, None, "{deadlock}");
    assert_eq!(deadlock.parties.len(), 2, "{deadlock}");
    for party in &deadlock.parties {
        assert_eq!(party.user, LockUser::Thread(Some("locker".into())));
    }
    // Nothing ends them: they stay, as they would.
    drop(threads);
}

#[test]
fn futures_of_another_executor_are_told() {
    let reports = Reports::on("foreign");
    let (a, b) = (lock(&reports, "a"), lock(&reports, "b"));
    let both = Arc::new(std::sync::Barrier::new(2));
    let (stop_one, stopped) = oneshot::channel::<()>();
    let mut stopped = Some(stopped);
    let threads = [(&a, &b), (&b, &a)].map(|(first, second)| {
        let (first, second) = (Arc::clone(first), Arc::clone(second));
        let (both, stopped) = (Arc::clone(&both), stopped.take());
        std::thread::spawn(move || {
            futures::executor::block_on(async {
                let _first = first.lock().await;
                both.wait();
                match stopped {
                    Some(stopped) => tapio::select! {
                        _ = second.lock() => {}
                        _ = stopped => {}
                    },
                    None => drop(second.lock().await),
                }
            });
        })
    });
    let deadlock = reports.deadlock();
    assert_eq!(deadlock.parties.len(), 2, "{deadlock}");
    for party in &deadlock.parties {
        assert_eq!(party.user, LockUser::Foreign);
    }
    stop_one.send(()).unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
}
