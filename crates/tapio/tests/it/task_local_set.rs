//! `LocalSet` and `spawn_local`.

use std::cell::Cell;
use std::future::{Future, pending};
use std::panic::catch_unwind;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;

use tapio::sync::{Notify, mpsc};
use tapio::task::{self, LocalSet, spawn_local, yield_now};

use crate::support::runtimes;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn tasks_stay_on_their_thread() {
    for (kind, runtime) in runtimes() {
        let here = thread::current().id();
        LocalSet::new().block_on(&runtime, async {
            let tasks = (0..50).map(|_| {
                spawn_local(async move {
                    for _ in 0..10 {
                        // Other threads wake it, and it comes home.
                        tapio::spawn(yield_now()).await.expect("it ends");
                        assert_eq!(thread::current().id(), here);
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap_or_else(|error| panic!("{kind}: {error}"));
            }
        });
    }
}

#[test]
fn the_set_is_done_when_all_its_tasks_are() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let set = LocalSet::new();
            let ended = Rc::new(Cell::new(0));
            for _ in 0..200 {
                let ended = Rc::clone(&ended);
                set.spawn_local(async move {
                    let grandchild = Rc::clone(&ended);
                    spawn_local(async move {
                        yield_now().await;
                        grandchild.set(grandchild.get() + 1);
                    });
                    ended.set(ended.get() + 1);
                });
            }
            set.await;
            assert_eq!(ended.get(), 400, "{kind}");
        });
    }
}

#[test]
fn tasks_wait_between_two_runs() {
    for (kind, runtime) in runtimes() {
        let set = LocalSet::new();
        let polls = Rc::new(Cell::new(0));
        let seen = Rc::clone(&polls);
        set.spawn_local(async move {
            loop {
                seen.set(seen.get() + 1);
                yield_now().await;
            }
        });
        set.block_on(&runtime, yield_now());
        let between = polls.get();
        assert!(between > 0, "{kind}");
        runtime.block_on(yield_now());
        assert_eq!(polls.get(), between, "{kind}");
        set.block_on(&runtime, yield_now());
        assert!(polls.get() > between, "{kind}");
    }
}

#[test]
fn one_poll_runs_no_more_than_a_tick() {
    let set = LocalSet::new();
    let polls = Rc::new(Cell::new(0));
    let seen = Rc::clone(&polls);
    set.spawn_local(async move {
        loop {
            seen.set(seen.get() + 1);
            yield_now().await;
        }
    });
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut set = pin!(set);
    for round in 1..=3 {
        let poll = set.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        assert_eq!(polls.get(), 61 * round);
        assert!(wakes.count() >= round, "it wants to go on");
    }
}

#[test]
fn tasks_woken_from_outside_get_their_turn_beside_busy_ones() {
    let set = LocalSet::new();
    for _ in 0..100 {
        set.spawn_local(async {
            loop {
                yield_now().await;
            }
        });
    }
    let (send, mut receive) = mpsc::unbounded_channel();
    let heard = Rc::new(Cell::new(0));
    let hears = Rc::clone(&heard);
    set.spawn_local(async move {
        while receive.recv().await.is_some() {
            hears.set(hears.get() + 1);
        }
    });
    let mut set = pin!(set);
    let mut cx = Context::from_waker(Waker::noop());
    for round in 0..20 {
        send.send(()).expect("it listens");
        // A turn of all tasks is two ticks; one more, since it came late.
        for _ in 0..3 {
            assert!(set.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(heard.get(), round + 1);
    }
}

#[test]
fn wakes_reach_whoever_polls_the_set() {
    let set = LocalSet::new();
    let notify = Rc::new(Notify::new());
    let notified = Rc::clone(&notify);
    let task = set.spawn_local(async move { notified.notified().await });
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    let mut set = pin!(set);
    assert!(set.as_mut().poll(&mut cx).is_pending());
    assert_eq!(wakes.count(), 0, "nothing to do");
    notify.notify_one();
    assert_eq!(wakes.count(), 1, "its task was woken");
    assert!(set.as_mut().poll(&mut cx).is_ready());
    assert!(task.is_finished());

    // A task spawned from outside, directly and under a guard.
    let set = LocalSet::new();
    let mut pinned = pin!(set.run_until(pending::<()>()));
    assert!(pinned.as_mut().poll(&mut cx).is_pending());
    set.spawn_local(async {});
    assert_eq!(wakes.count(), 2);
    assert!(pinned.as_mut().poll(&mut cx).is_pending());
    let guard = set.enter();
    spawn_local(async {});
    drop(guard);
    assert_eq!(wakes.count(), 3);
}

#[test]
fn threads_wake_tasks_while_the_set_sleeps() {
    for (kind, runtime) in runtimes() {
        let (from, to) = mpsc::unbounded_channel();
        let sender = thread::spawn(move || {
            for number in 0..500 {
                from.send(number).expect("somebody listens");
            }
        });
        let sum = LocalSet::new().block_on(&runtime, async move {
            let task = spawn_local(async move {
                let mut to = to;
                let sum = Rc::new(Cell::new(0));
                while let Some(number) = to.recv().await {
                    sum.set(sum.get() + number);
                }
                sum.get()
            });
            task.await.expect("it ends")
        });
        sender.join().expect("no panic");
        assert_eq!(sum, 500 * 499 / 2, "{kind}");
    }
}

#[test]
fn outside_of_a_set_spawn_local_panics() {
    let message = |joined: thread::Result<()>| {
        let payload = joined.expect_err("it panics");
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .expect("a text")
    };
    let outside = message(catch_unwind(|| drop(spawn_local(async {}))));
    assert!(
        outside.contains("outside of a `task::LocalSet`"),
        "{outside}"
    );
    for (kind, runtime) in runtimes() {
        LocalSet::new().block_on(&runtime, async {
            // A task of the runtime is outside, wherever it was spawned.
            let task = tapio::spawn(async { drop(spawn_local(async {})) });
            assert!(task.await.expect_err("outside").is_panic(), "{kind}");
        });
    }
}

#[test]
fn block_in_place_is_refused_inside() {
    for (kind, runtime) in runtimes() {
        let set = LocalSet::new();
        let refused = set.block_on(&runtime, async {
            spawn_local(async { task::block_in_place(|| ()) }).await
        });
        let payload = refused.expect_err("it panics").into_panic();
        let message = payload.downcast_ref::<&str>().expect("a text");
        assert!(
            message.contains("multi-threaded runtime"),
            "{kind}: {message}"
        );
    }
}

#[test]
fn sets_nest() {
    for (kind, runtime) in runtimes() {
        let outer = LocalSet::new();
        outer.block_on(&runtime, async {
            let inner = LocalSet::new();
            let notify = Rc::new(Notify::new());
            let waits = Rc::clone(&notify);
            let woken_by_inner = spawn_local(async move { waits.notified().await });
            yield_now().await;
            inner
                .run_until(async {
                    spawn_local(async move { notify.notify_one() })
                        .await
                        .expect("it ends");
                })
                .await;
            woken_by_inner
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
        });
    }
}
