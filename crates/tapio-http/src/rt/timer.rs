//! How hyper waits: on the timer wheel of the worker that polls.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use pin_project_lite::pin_project;
use tapio::time;

/// Gives hyper the runtime's clock and timers.
///
/// A hyper builder that has a timeout needs one: `http1::Builder::timer` and
/// `http2::Builder::timer` take it.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TapioTimer;

impl TapioTimer {
    /// Creates a timer; it holds nothing.
    pub const fn new() -> Self {
        Self
    }
}

/// The runtime's clock, read in this one place of the crate.
pub(crate) fn now() -> time::Instant {
    time::Instant::now()
}

impl Timer for TapioTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Slumber {
            sleep: time::sleep(duration),
        })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Slumber {
            sleep: time::sleep_until(deadline.into()),
        })
    }

    fn now(&self) -> Instant {
        now().into_std()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Slumber>() {
            Some(slumber) => slumber.project().sleep.reset(new_deadline.into()),
            // A sleep of another timer: replaced, as the trait's default does.
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

pin_project! {
    /// A sleep of the runtime under hyper's trait.
    struct Slumber {
        #[pin]
        sleep: time::Sleep,
    }
}

impl Future for Slumber {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl Sleep for Slumber {}
