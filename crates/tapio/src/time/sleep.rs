//! Waiting once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::timer::Timer;
use crate::time::Instant;

/// Waits for `duration`.
///
/// The time counts from this call, not from the first poll. The wait is never
/// shorter; it is up to a millisecond longer, and more on a busy runtime. A
/// duration beyond what the clock can tell means thirty years.
///
/// # Panics
/// Outside of a runtime, or in one built without
/// [`enable_time`](crate::runtime::Builder::enable_time). When polled after its
/// runtime was shut down.
///
/// # Cancel safety
/// Dropping it cancels the timer.
///
/// # Examples
/// ```
/// use tapio::time::{Duration, Instant, sleep};
///
/// # #[tapio::main(flavor = "current_thread")]
/// # async fn main() {
/// let start = Instant::now();
/// sleep(Duration::from_millis(5)).await;
/// assert!(start.elapsed() >= Duration::from_millis(5));
/// # }
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now().plus(duration))
}

/// Waits until `deadline`.
///
/// Ready at once if the deadline has passed.
///
/// # Panics
/// As [`sleep`].
///
/// # Cancel safety
/// Dropping it cancels the timer.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        timer: Timer::new(deadline),
    }
}

pin_project! {
    /// The future of [`sleep`] and [`sleep_until`].
    ///
    /// It belongs to the runtime in which it was made and may be polled from
    /// any thread and by any executor. It starts counting down in that
    /// runtime's wheel when first polled.
    ///
    /// It has to be pinned to be polled in place, as in a loop of `select!`:
    /// ```
    /// use tapio::time::{Duration, Instant, sleep};
    ///
    /// # #[tapio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// tapio::pin! {
    ///     let patience = sleep(Duration::from_millis(5));
    /// }
    /// let mut rounds = 0;
    /// loop {
    ///     tapio::select! {
    ///         () = &mut patience => break,
    ///         () = sleep(Duration::from_millis(1)) => {
    ///             rounds += 1;
    ///             if rounds == 2 {
    ///                 patience.as_mut().reset(Instant::now() + Duration::from_millis(5));
    ///             }
    ///         }
    ///     }
    /// }
    /// # }
    /// ```
    #[project(!Unpin)]
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Sleep {
        timer: Timer,
    }
}

impl Sleep {
    /// When it ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// Whether it has ended, as far as it was started: one that was never
    /// polled or reset has not.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// Moves the end to `deadline`, before or after it has ended.
    ///
    /// A task that waits for it is woken at the new deadline without having to
    /// poll again; one that awaited a sleep which has ended must poll again.
    ///
    /// # Cost
    /// No allocation: the timer moves within its wheel.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().timer.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().timer.poll(cx)
    }
}
