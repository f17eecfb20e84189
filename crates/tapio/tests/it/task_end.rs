//! How a task ends: by itself, by a panic, by an abort; and what its handle
//! says.

use std::any::Any;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::FutureExt;
use tapio::sync::{Notify, oneshot};
use tapio::task::{self, yield_now};

use crate::support::runtimes;

/// Counts how often it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counted() -> (Counted, impl Fn() -> usize) {
    let count = Arc::new(AtomicUsize::new(0));
    let dropped = Arc::clone(&count);
    (Counted(count), move || dropped.load(Ordering::SeqCst))
}

fn text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast_ref::<&str>().expect("a text")).to_owned(),
    }
}

#[test]
fn a_handle_gives_the_output_once() {
    for (kind, runtime) in runtimes() {
        let (value, dropped) = counted();
        runtime.block_on(async {
            let mut handle = tapio::spawn(async { value });
            let value = (&mut handle).await.expect("it ended");
            assert!(handle.is_finished(), "{kind}");
            assert_eq!(dropped(), 0, "{kind}");
            drop(handle);
            drop(value);
        });
        assert_eq!(dropped(), 1, "{kind}");
    }
}

#[test]
fn a_dropped_handle_lets_the_task_go_on_and_drops_its_output() {
    for (kind, runtime) in runtimes() {
        let (value, dropped) = counted();
        runtime.block_on(async {
            let (go, gone) = oneshot::channel::<()>();
            let (ended, end) = oneshot::channel();
            drop(tapio::spawn(async move {
                let _ = gone.await;
                ended.send(()).expect("the test waits");
                value
            }));
            go.send(()).expect("the task waits");
            end.await.expect("the task goes on");
            while dropped() == 0 {
                yield_now().await;
            }
        });
        assert_eq!(dropped(), 1, "{kind}");
    }
}

#[test]
fn a_panic_is_the_handles_error_and_nobody_elses() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let neighbour = tapio::spawn(async {
                yield_now().await;
                7
            });
            let error = tapio::spawn(async { panic!("{} and done", 3) }).await;
            let error: task::JoinError = error.map(|(): ()| ()).expect_err("it panicked");
            assert!(error.is_panic() && !error.is_cancelled(), "{kind}");
            assert!(error.to_string().contains("3 and done"), "{kind}: {error}");
            assert_eq!(text(error.into_panic()), "3 and done", "{kind}");
            assert_eq!(neighbour.await.expect("it lives"), 7, "{kind}");
        });
    }
}

#[test]
fn a_panic_that_is_no_text_comes_through() {
    for (kind, runtime) in runtimes() {
        let error =
            runtime.block_on(async { tapio::spawn(async { std::panic::panic_any(42_u64) }).await });
        let payload = error
            .map(|(): ()| ())
            .expect_err("it panicked")
            .into_panic();
        assert_eq!(payload.downcast_ref::<u64>(), Some(&42), "{kind}");
    }
}

/// A future that panics and whose destructor looks whether it unwinds.
struct Panics {
    saw_unwinding: Arc<AtomicBool>,
}

impl Future for Panics {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        panic!("in a poll");
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.saw_unwinding
            .store(std::thread::panicking(), Ordering::SeqCst);
    }
}

#[test]
fn a_future_that_panics_is_dropped_while_it_unwinds() {
    for (kind, runtime) in runtimes() {
        let saw_unwinding = Arc::new(AtomicBool::new(false));
        let future = Panics {
            saw_unwinding: Arc::clone(&saw_unwinding),
        };
        let joined = runtime.block_on(async { tapio::spawn(future).await });
        assert!(joined.expect_err("it panicked").is_panic(), "{kind}");
        assert!(saw_unwinding.load(Ordering::SeqCst), "{kind}");
    }
}

/// Panics when dropped.
struct DropBomb;

impl Drop for DropBomb {
    fn drop(&mut self) {
        panic!("in a drop");
    }
}

#[test]
fn a_panic_in_a_futures_drop_is_the_tasks_result() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            // At its end, and when it is aborted.
            let bomb = DropBomb;
            let ended = tapio::spawn(poll_fn(move |_| {
                let _keep = &bomb;
                Poll::Ready(1)
            }));
            assert!(ended.await.expect_err("a bomb").is_panic(), "{kind}");
            let bomb = DropBomb;
            let aborted = tapio::spawn(async move {
                let _keep = bomb;
                pending::<()>().await;
            });
            yield_now().await;
            aborted.abort();
            assert!(aborted.await.expect_err("a bomb").is_panic(), "{kind}");
        });
    }
}

#[test]
fn an_output_whose_drop_panics_harms_nobody() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            drop(tapio::spawn(async { DropBomb }));
            for _ in 0..3 {
                yield_now().await;
            }
            let handle = tapio::spawn(async { DropBomb });
            while !handle.is_finished() {
                yield_now().await;
            }
            drop(handle);
            assert_eq!(tapio::spawn(async { 5 }).await.expect("fine"), 5, "{kind}");
        });
    }
}

#[test]
fn an_abort_ends_a_task_that_waits() {
    for (kind, runtime) in runtimes() {
        let (value, dropped) = counted();
        let error = runtime.block_on(async {
            let started = Arc::new(Notify::new());
            let start = Arc::clone(&started);
            let handle = tapio::spawn(async move {
                let _value = value;
                start.notify_one();
                pending::<()>().await;
            });
            started.notified().await;
            handle.abort();
            handle.await.expect_err("aborted")
        });
        assert!(error.is_cancelled() && !error.is_panic(), "{kind}");
        assert!(error.to_string().contains("cancelled"), "{kind}: {error}");
        assert_eq!(dropped(), 1, "{kind}");
    }
}

#[test]
fn an_abort_before_the_first_poll_means_no_poll() {
    for (kind, runtime) in runtimes() {
        let polled = Arc::new(AtomicBool::new(false));
        let poll = Arc::clone(&polled);
        // From within, so that a `current_thread` runtime cannot run it
        // before; where others may, either outcome is right.
        let joined = runtime.block_on(async {
            let handle = tapio::spawn(async move { poll.store(true, Ordering::SeqCst) });
            handle.abort();
            handle.await
        });
        let was_polled = polled.load(Ordering::SeqCst);
        assert_eq!(joined.is_ok(), was_polled, "{kind}");
        assert!(kind.workers.is_some() || !was_polled, "{kind}");
    }
}

#[test]
fn an_abort_after_the_end_changes_nothing() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let handle = tapio::spawn(async { 9 });
            while !handle.is_finished() {
                yield_now().await;
            }
            handle.abort();
            handle.abort_handle().abort();
            assert_eq!(handle.await.expect("it had ended"), 9, "{kind}");
        });
    }
}

#[test]
fn a_task_may_abort_itself() {
    for (kind, runtime) in runtimes() {
        let (value, dropped) = counted();
        runtime.block_on(async {
            let (send, receive) = oneshot::channel::<task::AbortHandle>();
            let handle = tapio::spawn(async move {
                let _value = value;
                receive.await.expect("sent").abort();
                // This poll goes on to its end; the next await is the last.
                yield_now().await;
                unreachable!("aborted at the await");
            });
            send.send(handle.abort_handle()).expect("the task waits");
            let joined: Result<(), _> = handle.await;
            assert!(joined.expect_err("aborted").is_cancelled(), "{kind}");
        });
        assert_eq!(dropped(), 1, "{kind}");
    }
}

#[test]
fn what_a_task_holds_is_gone_when_its_handle_is_ready() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            for _ in 0..200 {
                let (value, dropped) = counted();
                tapio::spawn(async move {
                    let _value = value;
                    yield_now().await;
                })
                .await
                .expect("it ends");
                assert_eq!(dropped(), 1, "{kind}");
            }
        });
    }
}

#[test]
fn abort_handles_know_the_task_and_outlive_it() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let handle = tapio::spawn(async { task::id() });
            let abort = handle.abort_handle();
            let copy = abort.clone();
            let id = handle.id();
            assert_eq!(abort.id(), id, "{kind}");
            assert_eq!(handle.await.expect("it ends"), id, "{kind}");
            assert!(abort.is_finished() && copy.is_finished(), "{kind}");
            assert!(task::try_id().is_none(), "{kind}: `block_on` is no task");
        });
    }
}

#[test]
fn a_handle_polled_after_its_result_panics() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut handle = tapio::spawn(async {});
            (&mut handle).await.expect("it ends");
            let again = catch_unwind(AssertUnwindSafe(|| (&mut handle).now_or_never()));
            assert!(again.is_err(), "{kind}");
        });
    }
}

#[test]
fn another_waiter_takes_over_a_handle() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (go, gone) = oneshot::channel::<()>();
            let mut handle = tapio::spawn(async move {
                let _ = gone.await;
                "done"
            });
            // Polled here first, and then only by another task.
            assert!((&mut handle).now_or_never().is_none(), "{kind}");
            let other = tapio::spawn(handle);
            yield_now().await;
            go.send(()).expect("the task waits");
            assert_eq!(
                other.await.expect("joined").expect("it ends"),
                "done",
                "{kind}"
            );
        });
    }
}

#[test]
fn spawning_outside_of_a_runtime_panics_and_says_so() {
    let outside = catch_unwind(|| drop(tapio::spawn(async {})));
    let message = text(outside.expect_err("it panics"));
    assert!(message.contains("no reactor running"), "{message}");
    let outside = catch_unwind(|| drop(task::spawn_blocking(|| {})));
    let message = text(outside.expect_err("it panics"));
    assert!(message.contains("no reactor running"), "{message}");
}
