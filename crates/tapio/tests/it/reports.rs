//! What the guard has reported, for tests to look at.

use std::sync::{Arc, Mutex};

use tapio::guard::{
    self, Report, ShutdownWaits, Subscription, UnobservedError, UnobservedPanic, UnreadResult,
};
use tapio::task::Id;

/// Collects all reports of the process, from other tests as well: look for
/// those of your own tasks and places.
pub(crate) struct Reports {
    heard: Arc<Mutex<Vec<Report>>>,
    _subscription: Subscription,
}

impl Reports {
    pub(crate) fn listen() -> Reports {
        let heard = Arc::<Mutex<Vec<Report>>>::default();
        let told = Arc::clone(&heard);
        let subscription = guard::on_report(move |report| {
            told.lock().unwrap().push(report.clone());
        });
        Reports {
            heard,
            _subscription: subscription,
        }
    }

    fn all<T>(&self, pick: impl Fn(&Report) -> Option<T>) -> Vec<T> {
        let reports = self.heard.lock().unwrap();
        reports.iter().filter_map(pick).collect()
    }

    pub(crate) fn panics_of(&self, id: Id) -> Vec<UnobservedPanic> {
        self.all(|report| match report {
            Report::UnobservedPanic(panic) if panic.task.id == id => Some(panic.clone()),
            _ => None,
        })
    }

    pub(crate) fn errors_of(&self, id: Id) -> Vec<UnobservedError> {
        self.all(|report| match report {
            Report::UnobservedError(error) if error.task.id == id => Some(error.clone()),
            _ => None,
        })
    }

    /// Of tasks that were spawned on this line.
    pub(crate) fn errors_from(&self, file: &str, line: u32) -> Vec<UnobservedError> {
        self.all(|report| match report {
            Report::UnobservedError(error) => {
                let at = error.task.spawned_at;
                (at.file() == file && at.line() == line).then(|| error.clone())
            }
            _ => None,
        })
    }

    /// Unread results of tasks that were spawned on this line.
    pub(crate) fn unread_from(&self, file: &str, line: u32) -> Vec<UnreadResult> {
        self.all(|report| match report {
            Report::UnreadResult(result) => {
                let at = result.task.spawned_at;
                (at.file() == file && at.line() == line).then(|| result.clone())
            }
            _ => None,
        })
    }

    /// The tasks of all lost panics.
    pub(crate) fn panics(&self) -> Vec<Id> {
        self.all(|report| match report {
            Report::UnobservedPanic(panic) => Some(panic.task.id),
            _ => None,
        })
    }

    /// How often a limit of that name and size was hit.
    pub(crate) fn limits(&self, name: &str, max: usize) -> usize {
        let hits = self.all(|report| match report {
            Report::Limit(limit) if (limit.name, limit.max) == (name, max) => Some(()),
            _ => None,
        });
        hits.len()
    }

    /// Of a runtime of that name.
    pub(crate) fn shutdowns_of(&self, runtime: &str) -> Vec<ShutdownWaits> {
        self.all(|report| match report {
            Report::Shutdown(waits) if waits.runtime.as_deref() == Some(runtime) => {
                Some(waits.clone())
            }
            _ => None,
        })
    }
}

/// Panics without a word on standard error.
pub(crate) fn panic_quietly(message: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(message))
}
