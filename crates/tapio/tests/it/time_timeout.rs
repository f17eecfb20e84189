//! Timeouts: the future comes first, and cannot hold its own limit up.

use std::future::{Future, pending, poll_fn, ready};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tapio::time::{Duration, Instant, sleep, sleep_until, timeout, timeout_at};

use crate::support::runtimes;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_ready_future_is_in_time() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1), "{kind}");
            let past = Instant::now() - MS;
            assert_eq!(timeout_at(past, async { 2 }).await, Ok(2), "{kind}");
            // Ready together with the limit, in the same wheel.
            let together = tapio::spawn(async {
                let deadline = Instant::now() + MS * 2;
                timeout_at(deadline, sleep_until(deadline)).await
            });
            assert_eq!(together.await.expect("it does not panic"), Ok(()), "{kind}");
        });
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}

#[test]
fn a_slow_future_is_given_its_time_and_no_more() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let start = Instant::now();
            let error = timeout(MS * 5, pending::<()>())
                .await
                .expect_err("it never ends");
            assert!(start.elapsed() >= MS * 5, "{kind}");
            assert_eq!(error.to_string(), "deadline has elapsed");
            assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
            let past = timeout_at(start, pending::<()>()).await;
            assert!(past.is_err(), "{kind}");
            assert!(timeout(HOUR, sleep(MS)).await.is_ok(), "{kind}");
        });
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}

#[test]
fn what_is_no_limit_needs_no_runtime() {
    let mut unlimited = pin!(timeout(Duration::MAX, ready(3)));
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(unlimited.as_mut().poll(&mut cx), Poll::Ready(Ok(3)));
    let mut unlimited = pin!(timeout(Duration::MAX, pending::<()>()));
    assert_eq!(unlimited.as_mut().poll(&mut cx), Poll::Pending);
}

#[test]
fn the_future_inside_can_be_reached() {
    for (_, runtime) in runtimes() {
        let _entered = runtime.enter();
        let mut limited = timeout(HOUR, ready(4));
        assert_eq!(
            format!("{:?}", limited.get_ref()),
            format!("{:?}", ready(4))
        );
        *limited.get_mut() = ready(5);
        assert_eq!(runtime.block_on(limited.into_inner()), 5);
    }
}

/// A future that uses the whole budget up in every poll must be stopped all
/// the same.
#[test]
fn a_greedy_future_does_not_outlive_its_limit() {
    let past = Instant::now() - MS;
    for (kind, runtime) in runtimes() {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = polls.clone();
        let greedy = async move {
            let endless = async {
                loop {
                    sleep_until(past).await;
                }
            };
            let mut endless = pin!(endless);
            poll_fn(|cx| {
                counted.fetch_add(1, Ordering::Relaxed);
                endless.as_mut().poll(cx)
            })
            .await
        };
        let task = runtime.spawn(async move { timeout(MS * 10, greedy).await });
        let outcome: Result<(), _> = runtime.block_on(task).expect("it does not panic");
        assert!(outcome.is_err(), "{kind}");
        assert!(
            polls.load(Ordering::Relaxed) > 1,
            "{kind}: it gave way in between"
        );
    }
}

#[test]
fn limits_nest() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let inner = timeout(MS * 4, pending::<()>());
            let outcome = timeout(HOUR, inner).await;
            assert!(matches!(outcome, Ok(Err(_))), "{kind}");
            let inner = timeout(HOUR, pending::<()>());
            assert!(timeout(MS * 4, inner).await.is_err(), "{kind}");
        });
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}
