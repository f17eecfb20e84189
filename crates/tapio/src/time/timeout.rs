//! A limit on another future's time.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::error::Elapsed;
use super::sleep::{Sleep, sleep_until};
use crate::coop;
use crate::time::Instant;

/// Gives `future` until `duration` from now.
///
/// The future is polled first: if it is ready its output comes back, even if
/// the time has run out too. A duration beyond what the clock can tell is no
/// limit.
///
/// A future that never yields is not interrupted: the limit is looked at when
/// it returns from a poll.
///
/// # Errors
/// [`Elapsed`] when the time ran out first; the future is not polled again and
/// is dropped with the timeout.
///
/// # Panics
/// As [`sleep`](super::sleep), but without a limit it needs no runtime.
///
/// # Cancel safety
/// Dropping it drops the future and cancels the timer.
///
/// # Examples
/// ```
/// use tapio::time::{Duration, timeout};
///
/// # #[tapio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
/// # }
/// ```
#[track_caller]
pub fn timeout<F>(duration: Duration, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    #[expect(
        clippy::manual_map,
        reason = "a panic inside of `map` has its place, not the caller's"
    )]
    let limit = match Instant::now().checked_add(duration) {
        Some(deadline) => Some(sleep_until(deadline)),
        None => None,
    };
    Timeout {
        future: future.into_future(),
        limit,
    }
}

/// Gives `future` until `deadline`.
///
/// As [`timeout`] in all else.
///
/// # Errors
/// [`Elapsed`] when the deadline came first.
///
/// # Panics
/// As [`sleep`](super::sleep).
///
/// # Cancel safety
/// Dropping it drops the future and cancels the timer.
#[track_caller]
pub fn timeout_at<F>(deadline: Instant, future: F) -> Timeout<F::IntoFuture>
where
    F: IntoFuture,
{
    Timeout {
        future: future.into_future(),
        limit: Some(sleep_until(deadline)),
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<T> {
        #[pin]
        future: T,
        #[pin]
        limit: Option<Sleep>,
    }
}

impl<T> Timeout<T> {
    /// The future inside.
    #[must_use]
    pub fn get_ref(&self) -> &T {
        &self.future
    }

    /// The future inside.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.future
    }

    /// The future without its limit.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.future
    }
}

impl<T: Future> Future for Timeout<T> {
    type Output = Result<T::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let had_budget = coop::has_budget();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match this.limit.as_pin_mut() {
            Some(limit) => poll_limit(limit, had_budget, cx).map(Err),
            None => Poll::Pending,
        }
    }
}

/// Apart from `poll`, so that it is compiled once.
fn poll_limit(limit: Pin<&mut Sleep>, had_budget: bool, cx: &mut Context<'_>) -> Poll<Elapsed> {
    // A future that uses the budget up in every poll must not keep its own
    // limit from being looked at.
    let is_used_up_inside = had_budget && !coop::has_budget();
    let done = if is_used_up_inside {
        coop::with_unlimited(|| limit.poll(cx))
    } else {
        limit.poll(cx)
    };
    done.map(|()| Elapsed::new())
}
