//! Deadlocks that need more than mutexes: readers, writers and permits.

use std::sync::Arc;

use tapio::guard::LockKind;
use tapio::runtime::Runtime;
use tapio::sync::{Mutex, RwLock, Semaphore, oneshot};
use tapio::task::{self, JoinHandle};

use crate::support::{counted, runtimes};
use crate::sync_deadlock::{drive, told_after};
use crate::sync_support::{Reports, ends, party_of};

/// Calls once.
fn once(sender: oneshot::Sender<()>) -> impl FnMut() {
    let mut sender = Some(sender);
    move || {
        if let Some(sender) = sender.take() {
            sender.send(()).unwrap();
        }
    }
}

fn end(runtime: &Runtime, tasks: Vec<JoinHandle<()>>) {
    runtime.block_on(async {
        for task in tasks {
            task.abort();
            // Another's end may have let it finish.
            let _ = task.await;
        }
    });
}

#[test]
fn a_reader_that_reads_again_behind_a_writer_waits_for_itself() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("reads-again {kind}"));
        let lock = Arc::new(RwLock::named(reports.name("lock"), ()));
        let (read, has_read) = oneshot::channel();
        let (wrote, writer_waits) = oneshot::channel();
        let taken = Arc::clone(&lock);
        let reader = runtime.spawn(async move {
            let _one = taken.read().await;
            read.send(()).unwrap();
            writer_waits.await.unwrap();
            let _other = taken.read().await;
        });
        let taken = Arc::clone(&lock);
        let writer = runtime.spawn(async move {
            has_read.await.unwrap();
            drop(counted(taken.write(), once(wrote)).await);
        });
        runtime.block_on(drive(&reports));
        let deadlock = reports.deadlock();
        assert_eq!(deadlock.lasted, None, "{deadlock}");
        let party = party_of(&deadlock, &reader);
        assert_eq!(ends(&party), (vec!["lock".into()], vec!["lock".into()]));
        assert_eq!(party.waits[0].lock.kind, LockKind::RwLock);
        let (user, at) = &party.waits[0].behind[0];
        assert!(user.to_string().contains(&format!("task {}", writer.id())));
        assert!(at.file().ends_with("sync_locks.rs"));
        assert!(
            deadlock.to_string().contains("in line behind"),
            "{deadlock}"
        );
        end(&runtime, vec![reader, writer]);
        assert!(lock.try_write().is_ok());
    }
}

#[test]
fn a_writer_waits_for_all_readers() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("writer {kind}"));
        let lock = Arc::new(RwLock::named(reports.name("lock"), ()));
        let other = Arc::new(Mutex::named(reports.name("other"), ()));
        let (goes, go) = oneshot::channel();
        // More readers than the ledger has entries for; the last one waits.
        let mut readers: Vec<_> = (0..6)
            .map(|_| {
                let (has, is_read) = oneshot::channel();
                let taken = Arc::clone(&lock);
                let reader = runtime.spawn(async move {
                    let _guard = taken.read().await;
                    has.send(()).unwrap();
                    std::future::pending::<()>().await;
                });
                runtime.block_on(is_read).unwrap();
                reader
            })
            .collect();
        let (has, is_read) = oneshot::channel();
        let (taken, wanted) = (Arc::clone(&lock), Arc::clone(&other));
        let last = runtime.spawn(async move {
            let _guard = taken.read().await;
            has.send(()).unwrap();
            go.await.unwrap();
            drop(wanted.lock().await);
        });
        runtime.block_on(is_read).unwrap();
        let writer = runtime.spawn(async move {
            let _other = other.lock().await;
            drop(counted(lock.write(), once(goes)).await);
        });
        // The other readers hold it too, and do not wait: but a writer needs
        // all of them.
        runtime.block_on(drive(&reports));
        let deadlock = reports.deadlock();
        assert_eq!(deadlock.parties.len(), 2, "{deadlock}");
        let held = vec!["lock".to_string()];
        assert_eq!(
            ends(&party_of(&deadlock, &last)),
            (held.clone(), vec!["other".into()])
        );
        assert_eq!(
            ends(&party_of(&deadlock, &writer)),
            (vec!["other".into()], held)
        );
        readers.extend([last, writer]);
        end(&runtime, readers);
    }
}

/// Tasks that have a permit each of a semaphore of `permits` and want one
/// more, all at once.
fn greedy(runtime: &Runtime, semaphore: &Arc<Semaphore>, count: usize) -> Vec<JoinHandle<()>> {
    let mut starts = vec![];
    let tasks = (0..count).map(|_| {
        let taken = Arc::clone(semaphore);
        let (has, is_held) = oneshot::channel();
        let (go, go_on) = oneshot::channel();
        let (waits, is_waiting) = oneshot::channel();
        let task = runtime.spawn(async move {
            let _one = taken.acquire().await.unwrap();
            has.send(()).unwrap();
            go_on.await.unwrap();
            let _other = counted(taken.acquire(), once(waits)).await.unwrap();
        });
        runtime.block_on(is_held).unwrap();
        starts.push((go, is_waiting));
        task
    });
    let tasks = tasks.collect();
    for (go, is_waiting) in starts {
        go.send(()).unwrap();
        runtime.block_on(is_waiting).unwrap();
    }
    tasks
}

#[test]
fn permits_are_a_deadlock_when_all_who_have_them_wait() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("knot {kind}"));
        let semaphore = Arc::new(Semaphore::named(reports.name("permits"), 3));
        let tasks = greedy(&runtime, &semaphore, 3);
        runtime.block_on(drive(&reports));
        let deadlock = reports.deadlock();
        // Somebody might add permits.
        assert!(deadlock.lasted.is_some(), "{deadlock}");
        assert_eq!(deadlock.parties.len(), 3, "{deadlock}");
        for task in &tasks {
            let both = vec!["permits".to_string()];
            assert_eq!(ends(&party_of(&deadlock, task)), (both.clone(), both));
        }
        end(&runtime, tasks);
        assert_eq!(semaphore.available_permits(), 3);
    }
}

#[test]
fn permits_are_none_when_somebody_else_has_one() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("no-knot {kind}"));
        let semaphore = Arc::new(Semaphore::named(reports.name("permits"), 3));
        let outside = semaphore.try_acquire().unwrap();
        let tasks = greedy(&runtime, &semaphore, 2);
        told_after(&runtime, &reports);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
        drop(outside);
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
}

#[test]
fn permits_that_were_added_or_forgotten_prove_nothing() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("loose {kind}"));
        let added = Arc::new(Semaphore::named(reports.name("added"), 2));
        added.add_permits(1);
        let forgotten = Arc::new(Semaphore::named(reports.name("forgotten"), 4));
        forgotten.try_acquire().unwrap().forget();
        let mut tasks = greedy(&runtime, &added, 3);
        tasks.extend(greedy(&runtime, &forgotten, 3));
        told_after(&runtime, &reports);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
        added.add_permits(1);
        forgotten.add_permits(1);
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
}

#[test]
fn one_more_permit_ever_wanted_than_there_are_counts_on_others() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("signal {kind}"));
        let semaphore = Arc::new(Semaphore::named(reports.name("signal"), 0));
        let waiter = runtime.spawn({
            let semaphore = Arc::clone(&semaphore);
            async move { semaphore.acquire().await.unwrap().forget() }
        });
        runtime.block_on(task::yield_now());
        told_after(&runtime, &reports);
        assert_eq!(reports.deadlocks_so_far().len(), 0);
        semaphore.add_permits(1);
        runtime.block_on(waiter).unwrap();
    }
}

#[test]
fn permits_split_and_merged_are_still_known() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("split {kind}"));
        let semaphore = Arc::new(Semaphore::named(reports.name("permits"), 3));
        let taken = Arc::clone(&semaphore);
        let task = runtime.spawn(async move {
            let mut all = taken.acquire_many(3).await.unwrap();
            let one = all.split(1).unwrap();
            let two = all.split(2).unwrap();
            assert!(all.split(1).is_none());
            all.merge(two);
            all.merge(one);
            assert_eq!(all.num_permits(), 3);
            let one = all.split(1).unwrap();
            drop(all);
            // Two are free, and it has the third.
            let _more = taken.acquire_many(3).await.unwrap();
            drop(one);
        });
        runtime.block_on(drive(&reports));
        let deadlock = reports.deadlock();
        assert_eq!(deadlock.parties.len(), 1, "{deadlock}");
        party_of(&deadlock, &task);
        end(&runtime, vec![task]);
        assert_eq!(semaphore.available_permits(), 3);
    }
}

#[test]
fn a_guard_that_was_leaked_is_held_for_ever() {
    for (kind, runtime) in runtimes() {
        let reports = Reports::on(format!("leaked {kind}"));
        let lock = Arc::new(Mutex::named(reports.name("lock"), ()));
        let taken = Arc::clone(&lock);
        let task = runtime.spawn(async move {
            let _leaked = std::mem::ManuallyDrop::new(taken.lock().await);
            drop(taken.lock().await);
        });
        runtime.block_on(drive(&reports));
        let deadlock = reports.deadlock();
        party_of(&deadlock, &task);
        end(&runtime, vec![task]);
        assert!(lock.try_lock().is_err());
    }
}
