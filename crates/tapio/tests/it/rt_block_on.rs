//! `block_on` and being inside of a runtime.

use std::any::Any;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use tapio::runtime::{Builder, Handle, RuntimeFlavor};
use tapio::sync::{Notify, oneshot};
use tapio::task::{self, yield_now};

use crate::support::{Kind, runtimes, until};

fn message_of(panicked: Result<(), Box<dyn Any + Send>>) -> String {
    let payload = panicked.expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast_ref::<&str>().expect("a text")).to_owned(),
    }
}

#[test]
fn it_gives_the_output_and_passes_panics_on() {
    for (kind, runtime) in runtimes() {
        let text = String::from("borrowed");
        let len = runtime.block_on(async {
            yield_now().await;
            text.len()
        });
        assert_eq!(len, 8, "{kind}");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async { panic!("inside") });
        }));
        assert_eq!(message_of(panicked), "inside", "{kind}");
        // And is none the worse for it.
        assert_eq!(
            runtime.block_on(async { tapio::spawn(async { 1 }).await.unwrap() }),
            1
        );
    }
}

#[test]
fn inside_of_asynchronous_code_it_panics() {
    for (kind, runtime) in runtimes() {
        let handle = runtime.handle().clone();
        let nested = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async { handle.block_on(async {}) });
        }));
        let message = message_of(nested);
        assert!(message.contains("within a runtime"), "{kind}: {message}");
        let task = runtime
            .block_on(async { tapio::spawn(async move { handle.block_on(async {}) }).await });
        assert!(task.expect_err("it panicked").is_panic(), "{kind}");
    }
}

#[test]
fn workers_go_on_between_two_calls() {
    for (kind, runtime) in runtimes() {
        let ran = Arc::new(AtomicBool::new(false));
        let runs = Arc::clone(&ran);
        let (done, is_done) = mpsc::channel();
        runtime.spawn(async move {
            runs.store(true, Ordering::SeqCst);
            let _ = done.send(());
        });
        if kind.workers.is_some() {
            is_done.recv().expect("it runs by itself");
        } else {
            assert!(!ran.load(Ordering::SeqCst), "{kind}: nobody drives it");
            runtime.block_on(until(|| ran.load(Ordering::SeqCst)));
        }
    }
}

#[test]
fn several_threads_may_block_on_one_runtime() {
    for (kind, runtime) in runtimes() {
        let notify = Notify::new();
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..4)
                .map(|number| {
                    let (runtime, notify) = (&runtime, &notify);
                    scope.spawn(move || {
                        runtime.block_on(async {
                            // Each drives the runtime or waits for who does.
                            let task = tapio::spawn(async move {
                                for _ in 0..50 {
                                    yield_now().await;
                                }
                                number
                            });
                            notify.notified().await;
                            task.await.expect("it ends")
                        })
                    })
                })
                .collect();
            for (number, waiter) in waiters.into_iter().enumerate() {
                while !waiter.is_finished() {
                    notify.notify_one();
                    thread::yield_now();
                }
                assert_eq!(waiter.join().expect("no panic"), number, "{kind}");
            }
        });
    }
}

#[test]
fn a_future_is_woken_from_any_thread() {
    for (kind, runtime) in runtimes() {
        for _ in 0..50 {
            let (send, receive) = oneshot::channel();
            let sender = thread::spawn(move || send.send(5));
            assert_eq!(runtime.block_on(receive), Ok(5), "{kind}");
            sender.join().expect("no panic").expect("somebody listens");
        }
    }
}

#[test]
fn handles_block_too_and_enter() {
    for (kind, runtime) in runtimes() {
        let handle = runtime.handle().clone();
        let (send, receive) = oneshot::channel();
        let helper = thread::spawn(move || {
            assert!(Handle::try_current().is_err());
            let entered = handle.enter();
            drop(tapio::spawn(async move { send.send(3) }));
            drop(entered);
            assert!(Handle::try_current().is_err());
            // Does not drive a `current_thread` runtime, and needs not.
            handle.block_on(async { yield_now().await })
        });
        assert_eq!(runtime.block_on(receive), Ok(3), "{kind}");
        helper.join().expect("no panic");
        let expected = match kind.workers {
            None => RuntimeFlavor::CurrentThread,
            Some(_) => RuntimeFlavor::MultiThread,
        };
        assert_eq!(runtime.handle().runtime_flavor(), expected, "{kind}");
    }
}

#[test]
fn guards_nest_and_complain_out_of_order() {
    let first = Builder::new_current_thread().build().expect("a runtime");
    let second = Builder::new_current_thread().build().expect("a runtime");
    let outer = first.enter();
    {
        let _inner = second.enter();
        assert_eq!(Handle::current().id(), second.handle().id());
    }
    assert_eq!(Handle::current().id(), first.handle().id());
    let inner = second.enter();
    let out_of_order = catch_unwind(AssertUnwindSafe(|| drop(outer)));
    let message = message_of(out_of_order);
    assert!(message.contains("out of order"), "{message}");
    drop(inner);
}

#[test]
fn runtimes_have_ids_and_may_have_names() {
    let mut builder = Builder::new_current_thread();
    let unnamed = builder.build().expect("a runtime");
    let named = builder.name("chat").build().expect("a runtime");
    assert_eq!(unnamed.handle().name(), None);
    assert_eq!(named.handle().name(), Some("chat"));
    assert_ne!(named.handle().id(), unnamed.handle().id());
    assert_eq!(named.handle().id(), named.handle().clone().id());
}

#[test]
fn block_in_place_leaves_its_tasks_to_others() {
    for kind in Kind::all()
        .into_iter()
        .filter(|kind| kind.workers.is_some())
    {
        let runtime = kind.build();
        let (release, released) = mpsc::channel::<()>();
        let outcome = runtime.block_on(async {
            // As many as there are workers, each with a task in its queue.
            let blocked: Vec<_> = (0..kind.workers.unwrap_or(1))
                .map(|_| {
                    tapio::spawn(async {
                        let (send, receive) = mpsc::channel();
                        drop(tapio::spawn(async move { send.send(()) }));
                        // Runs meanwhile, or this would wait for ever.
                        task::block_in_place(move || receive.recv())
                    })
                })
                .collect();
            for task in blocked {
                task.await.expect("no panic").expect("its neighbour ran");
            }
            // On the thread of `block_on` it just runs.
            drop(tapio::spawn(async move { release.send(()) }));
            task::block_in_place(move || released.recv())
        });
        outcome.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[test]
fn block_in_place_may_block_on_and_panic() {
    for kind in Kind::all()
        .into_iter()
        .filter(|kind| kind.workers.is_some())
    {
        let runtime = kind.build();
        runtime.block_on(async {
            let task = tapio::spawn(async {
                let inner = task::block_in_place(|| Handle::current().block_on(async { 6 }));
                yield_now().await;
                let again = task::block_in_place(|| task::block_in_place(|| 7));
                inner * again
            });
            assert_eq!(task.await.expect("it ends"), 42, "{kind}");
            let task = tapio::spawn(async { task::block_in_place(|| panic!("in place")) });
            let joined: Result<(), _> = task.await;
            assert!(joined.expect_err("it panicked").is_panic(), "{kind}");
            let after = tapio::spawn(async { yield_now().await });
            after.await.expect("workers are all there");
        });
    }
}

#[test]
fn block_in_place_needs_somebody_to_take_over() {
    for kind in Kind::all()
        .into_iter()
        .filter(|kind| kind.workers.is_none())
    {
        let runtime = kind.build();
        let refused = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async { task::block_in_place(|| ()) });
        }));
        let message = message_of(refused);
        assert!(
            message.contains("multi-threaded runtime"),
            "{kind}: {message}"
        );
    }
    // Outside of any runtime there is nothing to take over.
    assert_eq!(task::block_in_place(|| 4), 4);
}

#[test]
fn yielding_lets_everybody_run() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let flag = Arc::new(AtomicBool::new(false));
            let set = Arc::clone(&flag);
            let waits = tapio::spawn(async move { until(|| flag.load(Ordering::SeqCst)).await });
            let sets = tapio::spawn(async move { set.store(true, Ordering::SeqCst) });
            sets.await.expect("it ends");
            waits
                .await
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
        });
    }
}

#[test]
fn a_runtime_dropped_inside_of_another_panics() {
    for (kind, runtime) in runtimes() {
        let inner = Builder::new_current_thread().build().expect("a runtime");
        let dropped = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { drop(inner) })));
        let message = message_of(dropped);
        assert!(
            message.contains("Cannot drop a runtime"),
            "{kind}: {message}"
        );
        // Without waiting it may.
        let inner = Builder::new_multi_thread().build().expect("a runtime");
        inner.spawn(pending::<()>());
        runtime.block_on(async { inner.shutdown_background() });
    }
}

#[test]
fn more_workers_than_seats_can_be_told_apart_are_refused() {
    let error = tapio::runtime::Builder::new_multi_thread()
        .worker_threads(70_000)
        .build()
        .expect_err("too many");
    assert!(error.to_string().contains("65535"), "{error}");
}
