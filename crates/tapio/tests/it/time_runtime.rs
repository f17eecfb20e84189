//! Timers and the life of their runtime.

use std::any::Any;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::thread;

use tapio::time::{Duration, Instant, interval, sleep, timeout, timeout_at};

use crate::support::{Kind, runtimes};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn message_of(outcome: Result<(), Box<dyn Any + Send>>) -> String {
    let payload = outcome.expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload
            .downcast_ref::<&str>()
            .map_or_else(String::new, |&m| m.into()),
    }
}

fn panic_of(f: impl FnOnce()) -> String {
    message_of(catch_unwind(AssertUnwindSafe(f)))
}

#[test]
fn without_a_runtime_the_panic_says_so() {
    let makers: [fn(); 4] = [
        || drop(sleep(MS)),
        || drop(timeout(MS, pending::<()>())),
        || drop(timeout_at(Instant::now(), pending::<()>())),
        || drop(interval(MS)),
    ];
    for maker in makers {
        let message = panic_of(maker);
        assert!(message.contains("there is no reactor running"), "{message}");
    }
}

#[test]
fn without_timers_the_panic_names_the_missing_call() {
    for kind in Kind::all() {
        let runtime = kind.builder().enable_io().build().expect("a runtime");
        let message = panic_of(|| runtime.block_on(async { drop(sleep(MS)) }));
        assert!(message.contains("enable_time"), "{kind}: {message}");
        // What needs no timer works.
        let unlimited = runtime.block_on(async { timeout(Duration::MAX, async { 1 }).await });
        assert_eq!(unlimited, Ok(1));
        let runtime = kind.builder().enable_time().build().expect("a runtime");
        runtime.block_on(sleep_for(MS));
    }
}

/// `sleep` must be called inside.
async fn sleep_for(duration: Duration) {
    sleep(duration).await;
}

#[test]
fn a_timer_outlives_its_runtime_without_harm() {
    for (kind, runtime) in runtimes() {
        let (mut polled, mut fresh, ticks) = {
            let _entered = runtime.enter();
            (Box::pin(sleep(HOUR)), Box::pin(sleep(HOUR)), interval(HOUR))
        };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(polled.as_mut().poll(&mut cx).is_pending());
        drop(runtime);
        for sleep in [&mut polled, &mut fresh] {
            for _ in 0..2 {
                let message = panic_of(|| assert!(sleep.as_mut().poll(&mut cx).is_pending()));
                assert!(message.contains("is being shutdown"), "{kind}: {message}");
            }
            sleep.as_mut().reset(Instant::now() + MS);
            let message = panic_of(|| assert!(sleep.as_mut().poll(&mut cx).is_pending()));
            assert!(message.contains("is being shutdown"), "{kind}: {message}");
        }
        drop((polled, fresh, ticks));
    }
}

#[test]
fn whoever_waits_for_a_timer_of_an_ending_runtime_is_woken() {
    for (kind, runtime) in runtimes() {
        let (sender, receiver) = mpsc::channel();
        let handle = runtime.handle().clone();
        let foreign = thread::spawn(move || {
            let mut sleep = {
                let _entered = handle.enter();
                Box::pin(sleep(HOUR))
            };
            assert!(
                sleep
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
            sender.send(()).expect("somebody listens");
            message_of(catch_unwind(AssertUnwindSafe(|| {
                futures::executor::block_on(sleep)
            })))
        });
        receiver.recv().expect("the sleep was started");
        drop(runtime);
        let message = foreign.join().expect("it was caught");
        assert!(message.contains("is being shutdown"), "{kind}: {message}");
    }
}

#[test]
fn tasks_that_sleep_end_with_their_runtime() {
    for (kind, runtime) in runtimes() {
        let handle = runtime.handle().clone();
        let (sender, receiver) = mpsc::channel();
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let sender = sender.clone();
                runtime.spawn(async move {
                    let mut sleep = pin!(sleep(HOUR));
                    std::future::poll_fn(|cx| {
                        assert!(sleep.as_mut().poll(cx).is_pending());
                        std::task::Poll::Ready(())
                    })
                    .await;
                    sender.send(()).expect("somebody listens");
                    sleep.await;
                })
            })
            .collect();
        runtime.block_on(async move {
            tapio::task::spawn_blocking(move || {
                for _ in 0..50 {
                    receiver.recv().expect("every task starts");
                }
            })
            .await
            .expect("it does not panic");
        });
        assert_eq!(handle.metrics().num_timers(), 50, "{kind}");
        drop(runtime);
        assert_eq!(handle.metrics().num_timers(), 0, "{kind}");
        for task in tasks {
            let error = futures::executor::block_on(task).expect_err("it was cancelled");
            assert!(error.is_cancelled(), "{kind}");
        }
    }
}

/// A timer set from another thread must shorten the sleep of its worker.
#[test]
fn a_sleeping_worker_notices_an_earlier_timer() {
    for (kind, runtime) in runtimes() {
        if kind.workers.is_none() {
            continue;
        }
        let _entered = runtime.enter();
        let mut later = pin!(sleep(HOUR));
        let _ = later.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        for _ in 0..20 {
            futures::executor::block_on(sleep(MS));
        }
    }
}
