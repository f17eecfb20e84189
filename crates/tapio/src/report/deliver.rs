//! Who is told of a report, and how.

use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tracing::Level;

use super::Report;

type Listener = Arc<dyn Fn(&Report) + Send + Sync>;

static LISTENERS: RwLock<Vec<(u64, Listener)>> = RwLock::new(Vec::new());

thread_local! {
    /// Whether this thread is telling listeners of a report: what they
    /// themselves give rise to goes to the log alone.
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Calls `listener` with every report from now on, until the subscription is
/// dropped.
///
/// It is called on whatever thread finds out, one of the runtime's own for
/// stalls, and should return soon. A listener that panics is contained. What a
/// listener gives rise to itself is logged and not told to listeners.
///
/// # Examples
/// ```
/// let reports = tapio::guard::on_report(|report| eprintln!("{report}"));
/// // ... for as long as the program runs:
/// reports.keep();
/// ```
#[must_use = "dropping the subscription ends it; `keep` leaves it for good"]
pub fn on_report(listener: impl Fn(&Report) + Send + Sync + 'static) -> Subscription {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only that numbers differ matters.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    LISTENERS.write().push((number, Arc::new(listener)));
    Subscription { number }
}

/// A listener of [`on_report`]; dropping it ends it.
pub struct Subscription {
    number: u64,
}

impl Subscription {
    /// Leaves the listener for as long as the program runs.
    pub fn keep(self) {
        let _kept = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut listeners = LISTENERS.write();
        let index = listeners
            .iter()
            .position(|(number, _)| *number == self.number);
        let removed = index.map(|index| listeners.remove(index));
        drop(listeners);
        // What the listener holds is dropped without the lock.
        drop(removed);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

impl Report {
    /// Tells the log and every listener. Called without any lock held: it
    /// runs foreign code.
    pub(crate) fn deliver(&self) {
        let listeners: Vec<Listener> = if IS_TELLING.get() {
            Vec::new()
        } else {
            let listeners = LISTENERS.read();
            listeners.iter().map(|(_, f)| Arc::clone(f)).collect()
        };
        self.log(!listeners.is_empty());
        IS_TELLING.set(true);
        for listener in listeners {
            let told = catch_unwind(AssertUnwindSafe(|| listener(self)));
            if told.is_err() {
                tracing::error!("a function given to `guard::on_report` panicked");
            }
        }
        IS_TELLING.set(false);
    }

    /// To `tracing`; to standard error in a program that has set up neither a
    /// log nor a listener.
    fn log(&self, has_listeners: bool) {
        if tracing::dispatcher::has_been_set() {
            // A level is part of what is made once for each line of source.
            match self.level() {
                Level::WARN => tracing::warn!(target: "tapio::guard", "{self}"),
                _ => tracing::info!(target: "tapio::guard", "{self}"),
            }
        } else if !has_listeners {
            // Standard error that is closed leaves nobody to tell.
            let _ = writeln!(std::io::stderr().lock(), "tapio: {self}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::LimitHit;
    use super::{Report, on_report};

    #[test]
    fn a_listener_is_told_until_its_subscription_ends_and_not_of_its_own_doing() {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let limit = LimitHit::new("a test's limit", 7, "it ends");
        let own = Report::Limit(limit.clone());
        let subscription = on_report(move |report| {
            if let Report::Limit(limit) = report
                && limit.name == "a test's limit"
            {
                count.fetch_add(1, Ordering::Relaxed);
                own.deliver();
                panic!("contained");
            }
        });
        let report = Report::Limit(limit);
        report.deliver();
        report.deliver();
        assert_eq!(told.load(Ordering::Relaxed), 2);
        drop(subscription);
        report.deliver();
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }
}
