//! A stall that goes on is told of again, as it is then.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use tapio::guard::{Culprit, Report, Stall, StallCause, Subscription, on_report};

use crate::child::in_child;
use crate::rig::{Kind, compute};

fn stalls() -> (mpsc::Receiver<Stall>, Subscription) {
    let (tell, told) = mpsc::channel();
    let subscription = on_report(move |report| {
        if let Report::Stall(stall) = report {
            let _ = tell.send(stall.clone());
        }
    });
    (told, subscription)
}

/// Where the user's code is, in this file.
fn line_of(stall: &Stall) -> Option<u32> {
    let frame = stall.stack.as_ref()?.top_user_frame()?;
    let file = frame.file.as_ref()?;
    file.ends_with("tests/process/again.rs").then_some(())?;
    frame.line
}

fn waits(stall: &Stall) -> bool {
    matches!(stall.cause, StallCause::Blocked(Some(call)) if call.name() == Some("futex"))
}

#[test]
fn a_task_that_computes_and_then_waits_is_told_of_as_it_is_each_time() {
    let name = "again::a_task_that_computes_and_then_waits_is_told_of_as_it_is_each_time";
    in_child(name, || {
        for kind in Kind::all() {
            let (told, _subscription) = stalls();
            let runtime = kind.build();
            let lock = Arc::new(Mutex::new(()));
            let guard = lock.lock().unwrap();
            let metrics = runtime.metrics();
            let line = Arc::new(AtomicU32::new(0));
            let (wanted, at) = (Arc::clone(&lock), Arc::clone(&line));
            let task = runtime.spawn(async move {
                while black_box(metrics.num_stalls() == 0) {}
                // Some ticks, for its stack to be copied.
                compute(Duration::from_millis(50));
                at.store(line!() + 1, Ordering::Relaxed);
                drop(wanted.lock().unwrap());
            });
            let blocked = thread::spawn(move || {
                runtime.block_on(task).unwrap();
                runtime
            });
            let stall = told.recv().unwrap();
            assert!(matches!(stall.cause, StallCause::Computing), "{stall}");
            assert!(!stall.was_reported, "{stall}");
            let again = told.recv().unwrap();
            assert!(again.was_reported && waits(&again), "{kind}: {again}");
            assert_eq!(
                line_of(&again),
                Some(line.load(Ordering::Relaxed)),
                "{again}"
            );
            assert!(again.lasted >= Duration::from_millis(900), "{again}");
            let goes_on = format!("stall {} goes on: ", stall.number);
            assert!(again.to_string().starts_with(&goes_on), "{again}");
            let lock = again.std_lock.as_ref().expect("it waits for one");
            assert_eq!((lock.kind, lock.circle.len()), ("Mutex", 0), "{again}");
            drop(guard);
            drop(blocked.join().unwrap());
        }
    });
}

#[test]
fn a_stall_that_has_not_changed_is_told_of_again_in_one_line() {
    let name = "again::a_stall_that_has_not_changed_is_told_of_again_in_one_line";
    in_child(name, || {
        let (told, _subscription) = stalls();
        let runtime = Kind::all()[0].build();
        let (end, ended) = mpsc::channel::<()>();
        let line = line!() + 1;
        let task = runtime.spawn(async move { ended.recv().unwrap_err() });
        let blocked = thread::spawn(move || {
            runtime.block_on(task).unwrap();
        });
        let first = told.recv().unwrap();
        assert_eq!(line_of(&first), Some(line), "{first}");
        let again = told.recv().unwrap();
        assert!(again.was_reported && waits(&again), "{again}");
        let text = again.to_string();
        assert!(
            text.contains("still blocked in the system call futex"),
            "{text}"
        );
        assert!(text.ends_with(&format!("again.rs:{line})")), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        drop(end);
        blocked.join().unwrap();
    });
}

/// Two tasks that each have a lock and want the other's, for ever. Nothing
/// ends them, so their runtimes stay.
#[test]
fn std_locks_that_two_tasks_take_crosswise_are_named_as_a_deadlock() {
    let name = "again::std_locks_that_two_tasks_take_crosswise_are_named_as_a_deadlock";
    in_child(name, || {
        for kind in Kind::all() {
            let (told, _subscription) = stalls();
            let runtime = kind.builder().rescue(true).build().unwrap();
            let mutex = Arc::new(Mutex::new(0));
            let shared = Arc::new(RwLock::new(0));
            let barrier = Arc::new(Barrier::new(2));
            let one = {
                let (mutex, shared) = (Arc::clone(&mutex), Arc::clone(&shared));
                let barrier = Arc::clone(&barrier);
                runtime.spawn(async move {
                    let mut held = mutex.lock().unwrap();
                    barrier.wait();
                    *held += *shared.read().unwrap();
                })
            };
            let other = runtime.spawn(async move {
                let mut held = shared.write().unwrap();
                barrier.wait();
                *held += *mutex.lock().unwrap();
            });
            let ids = [one.id(), other.id()];
            thread::spawn(move || runtime.block_on(one));
            let is_circle = |stall: &Stall| {
                let lock = stall.std_lock.as_ref();
                lock.is_some_and(|lock| !lock.circle.is_empty())
            };
            let stall = told.iter().find(is_circle).unwrap();
            let lock = stall.std_lock.as_ref().unwrap();
            let [party] = &lock.circle[..] else {
                panic!("{kind}: {stall}");
            };
            let (Culprit::Task(this), Culprit::Task(that)) = (&stall.culprit, &party.culprit)
            else {
                panic!("{kind}: {stall}");
            };
            assert!(ids.contains(&this.id) && ids.contains(&that.id), "{stall}");
            assert_ne!(this.id, that.id, "{stall}");
            let mut kinds = [lock.kind, party.kind];
            kinds.sort_unstable();
            assert_eq!(kinds, ["Mutex", "RwLock"], "{stall}");
            let text = stall.to_string();
            assert!(text.contains("deadlock, as it seems"), "{text}");
            assert!(text.contains("tests/process/again.rs:"), "{text}");
        }
    });
}

/// They wait for two locks that a third has.
#[test]
fn tasks_that_wait_for_someone_else_are_no_deadlock() {
    let name = "again::tasks_that_wait_for_someone_else_are_no_deadlock";
    in_child(name, || {
        for kind in Kind::all() {
            let (told, _subscription) = stalls();
            let runtime = kind.builder().rescue(true).build().unwrap();
            let locks = [(); 2].map(|()| Arc::new(Mutex::new(())));
            let guards = locks.each_ref().map(|lock| lock.lock().unwrap());
            let tasks = locks.each_ref().map(|lock| {
                let lock = Arc::clone(lock);
                runtime.spawn(async move { drop(lock.lock().unwrap()) })
            });
            let blocked = thread::spawn(move || {
                runtime.block_on(async {
                    for task in tasks {
                        task.await.unwrap();
                    }
                });
            });
            // Those of the second are repetitions of the first's.
            let again = told.iter().find(|stall| stall.was_reported).unwrap();
            assert!(waits(&again), "{again}");
            thread::sleep(Duration::from_millis(300));
            drop(guards);
            blocked.join().unwrap();
            let is_circle = |stall: &Stall| stall.to_string().contains("deadlock");
            assert!(!told.try_iter().any(|stall| is_circle(&stall)), "{kind}");
            assert!(!is_circle(&again), "{kind}: {again}");
        }
    });
}
