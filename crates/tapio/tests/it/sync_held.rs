//! Locks that are held for long while others wait, and locks given to futures
//! that nobody polls.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tapio::guard::{LockKind, LockUser};
use tapio::runtime::Runtime;
use tapio::sync::{Mutex, RwLock, Semaphore, oneshot};
use tapio::task::JoinHandle;

use crate::support::{counted, runtimes};
use crate::sync_deadlock::{drive, told_after};
use crate::sync_support::{BUDGET, Reports};

fn is_task<T>(user: &LockUser, task: &JoinHandle<T>) -> bool {
    matches!(user, LockUser::Task(info) if info.id == task.id())
}

/// A task that holds what `take` gets until it is told to go on.
fn holder<G: Send + 'static>(
    runtime: &Runtime,
    take: impl Future<Output = G> + Send + 'static,
) -> (JoinHandle<()>, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (has, is_held) = oneshot::channel();
    let (go, go_on) = oneshot::channel();
    let task = runtime.spawn(async move {
        let _guard = take.await;
        has.send(()).unwrap();
        go_on.await.unwrap();
    });
    (task, is_held, go)
}

#[test]
fn a_mutex_held_for_long_is_told_with_both_ends() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("held {kind}"));
        let lock = Arc::new(Mutex::named(reports.name("lock"), ()));
        let taken = Arc::clone(&lock);
        let (task, has, go) = holder(&runtime, taken.lock_owned());
        let taken = Arc::clone(&lock);
        runtime.block_on(has).unwrap();
        let waiter = runtime.spawn(async move { drop(taken.lock().await) });
        runtime.block_on(drive(&reports));
        let held = reports.held();
        assert!(is_task(&held.holder, &task), "{held}");
        assert!(held.at.file().ends_with("sync_held.rs"), "{held}");
        assert!(held.lasted >= BUDGET, "{held}");
        assert_eq!(held.lock.kind, LockKind::Mutex);
        assert_eq!(held.waiters_count, 1, "{held}");
        assert!(is_task(&held.waiters[0].0, &waiter), "{held}");
        let text = held.to_string();
        assert!(
            text.lines().last().unwrap().starts_with("  help: "),
            "{text}"
        );
        go.send(()).unwrap();
        runtime.block_on(async {
            task.await.unwrap();
            waiter.await.unwrap();
        });
        let released = reports.released();
        assert!(released.is_released, "{released}");
        assert!(released.lasted >= held.lasted, "{released}");
        assert_eq!(released.at, held.at);
        // Once, however long it lasted.
        assert!(reports.so_far().is_empty());
    }
}

#[test]
fn nobody_who_waits_is_nobody_who_is_kept() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("unwaited {kind}"));
        let free = Arc::new(Mutex::named(reports.name("free"), ()));
        let (task, has, go) = holder(&runtime, Arc::clone(&free).lock_owned());
        runtime.block_on(has).unwrap();
        // Beside one that is told of, held from later on.
        let kept = Arc::new(Mutex::named(reports.name("kept"), ()));
        let (other, has, go_other) = holder(&runtime, Arc::clone(&kept).lock_owned());
        runtime.block_on(has).unwrap();
        let waiter = runtime.spawn(async move { drop(kept.lock().await) });
        runtime.block_on(drive(&reports));
        let held = reports.held();
        assert!(held.lock.name.as_ref().unwrap().ends_with("kept"), "{held}");
        go.send(()).unwrap();
        go_other.send(()).unwrap();
        runtime.block_on(async {
            task.await.unwrap();
            other.await.unwrap();
            waiter.await.unwrap();
        });
        assert!(reports.released().is_released);
        assert!(reports.so_far().is_empty());
    }
}

#[test]
fn a_reader_that_keeps_a_writer_out_is_told() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("reader {kind}"));
        let lock = Arc::new(RwLock::named(reports.name("lock"), ()));
        let (task, has, go) = holder(&runtime, Arc::clone(&lock).read_owned());
        runtime.block_on(has).unwrap();
        let taken = Arc::clone(&lock);
        let writer = runtime.spawn(async move { drop(taken.write().await) });
        runtime.block_on(drive(&reports));
        let held = reports.held();
        assert!(is_task(&held.holder, &task), "{held}");
        assert!(is_task(&held.waiters[0].0, &writer), "{held}");
        writer.abort();
        runtime.block_on(async { assert!(writer.await.unwrap_err().is_cancelled()) });
        let released = reports.released();
        assert!(!released.is_released, "{released}");
        go.send(()).unwrap();
        runtime.block_on(task).unwrap();
    }
}

#[test]
fn a_lock_given_to_a_future_that_nobody_polls_is_told() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("futurelock {kind}"));
        let lock = Arc::new(Mutex::named(reports.name("lock"), ()));
        let (holder, has, go) = holder(&runtime, Arc::clone(&lock).lock_owned());
        runtime.block_on(has).unwrap();
        let taken = Arc::clone(&lock);
        let mut go = Some(go);
        let task = runtime.spawn(async move {
            let mut unpolled = pin!(taken.lock());
            std::future::poll_fn(|cx| {
                assert!(unpolled.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            // The line is `unpolled`, then this.
            let waiting = counted(taken.lock(), || {
                if let Some(go) = go.take() {
                    go.send(()).unwrap();
                }
            });
            drop(waiting.await);
        });
        runtime.block_on(async {
            holder.await.unwrap();
            drive(&reports).await;
        });
        let futurelock = reports.futurelock();
        assert!(is_task(&futurelock.user, &task), "{futurelock}");
        assert!(futurelock.lasted >= BUDGET, "{futurelock}");
        assert_eq!(futurelock.behind_count, 1, "{futurelock}");
        assert!(is_task(&futurelock.behind[0].0, &task), "{futurelock}");
        assert!(futurelock.at.line() < futurelock.behind[0].1.line());
        let text = futurelock.to_string();
        assert!(
            text.lines().last().unwrap().starts_with("  help: "),
            "{text}"
        );
        task.abort();
        runtime.block_on(async { assert!(task.await.unwrap_err().is_cancelled()) });
        assert!(lock.try_lock().is_ok());
    }
}

#[test]
fn a_lock_released_long_after_it_was_told_of_may_still_be_futurelocked() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("late {kind}"));
        let lock = Arc::new(Mutex::named(reports.name("lock"), ()));
        let (holder, has, go) = holder(&runtime, Arc::clone(&lock).lock_owned());
        runtime.block_on(has).unwrap();
        let mut unpolled = Box::pin(lock.lock());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(unpolled.as_mut().poll(&mut cx).is_pending());
        // The guard has nothing to look at again once this is told.
        reports.held();
        std::thread::sleep(BUDGET);
        go.send(()).unwrap();
        runtime.block_on(holder).unwrap();
        let futurelock = reports.futurelock();
        assert_eq!(futurelock.user, LockUser::Foreign, "{futurelock}");
        assert!(unpolled.as_mut().poll(&mut cx).is_ready());
    }
}

#[test]
fn a_semaphore_of_several_permits_may_be_held() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("permits {kind}"));
        let semaphore = Arc::new(Semaphore::named(reports.name("many"), 2));
        let permits = runtime.block_on(semaphore.acquire_many(2)).unwrap();
        let taken = Arc::clone(&semaphore);
        let waiter = runtime.spawn(async move { drop(taken.acquire().await.unwrap()) });
        // A semaphore of one is a mutex: it is told of, and waited for later.
        let one = Arc::new(Semaphore::named(reports.name("one"), 1));
        let permit = runtime.block_on(one.acquire()).unwrap();
        let taken = Arc::clone(&one);
        let other = runtime.spawn(async move { drop(taken.acquire().await.unwrap()) });
        runtime.block_on(drive(&reports));
        let held = reports.held();
        assert!(held.lock.name.as_ref().unwrap().ends_with("one"), "{held}");
        drop(permits);
        drop(permit);
        runtime.block_on(async {
            waiter.await.unwrap();
            other.await.unwrap();
        });
        told_after(&runtime, &reports);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
    }
}
