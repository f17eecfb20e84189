//! Every kind of runtime that a test ought to hold on.

use std::fmt;
use std::future::poll_fn;

use tapio::runtime::{Builder, DriverKind, Runtime};

/// A way to build a runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) driver: DriverKind,
    /// `None` for `current_thread`.
    pub(crate) workers: Option<usize>,
}

impl Kind {
    /// All of them; `TAPIO_DRIVER` leaves those of one driver.
    pub(crate) fn all() -> Vec<Kind> {
        let only: Option<DriverKind> = std::env::var("TAPIO_DRIVER")
            .ok()
            .map(|name| name.parse().expect("TAPIO_DRIVER"));
        let mut kinds = vec![];
        for driver in [DriverKind::Ring, DriverKind::Poll] {
            if only.is_none_or(|only| only == driver) {
                kinds.extend([None, Some(1), Some(2)].map(|workers| Kind { driver, workers }));
            }
        }
        kinds
    }

    /// A builder for it, with nothing enabled.
    pub(crate) fn builder(self) -> Builder {
        let mut builder = match self.workers {
            None => Builder::new_current_thread(),
            Some(count) => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(count);
                builder
            }
        };
        builder.driver(self.driver);
        builder
    }

    /// A runtime of this kind, with everything enabled.
    pub(crate) fn build(self) -> Runtime {
        self.builder()
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("{self}: {error}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.workers {
            None => write!(f, "{}, current_thread", self.driver),
            Some(count) => write!(f, "{}, multi_thread({count})", self.driver),
        }
    }
}

/// A runtime of every kind, one after the other.
pub(crate) fn runtimes() -> impl Iterator<Item = (Kind, Runtime)> {
    Kind::all().into_iter().map(|kind| (kind, kind.build()))
}

/// Yields until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tapio::task::yield_now().await;
    }
}

/// `future`, with `on_pending` called each time it is polled and must wait.
pub(crate) fn counted<F: Future>(
    future: F,
    mut on_pending: impl FnMut(),
) -> impl Future<Output = F::Output> {
    let mut future = Box::pin(future);
    poll_fn(move |cx| {
        let poll = future.as_mut().poll(cx);
        if poll.is_pending() {
            on_pending();
        }
        poll
    })
}
