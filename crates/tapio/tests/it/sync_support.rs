//! Reports on locks, told apart by the locks' names: `guard::on_report` tells
//! of the whole process, and tests run beside one another.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, Once};
use std::time::Duration;

use tapio::guard::{
    self, Deadlock, DeadlockParty, Futurelock, LockHeld, LockReleased, LockUser, Report,
    Subscription,
};
use tapio::task::JoinHandle;

/// Long enough that nothing here lasts so long by accident on a busy machine,
/// short enough to wait for it a few times.
pub(crate) const BUDGET: Duration = Duration::from_millis(400);

/// Long enough to call it never.
pub(crate) const NEVER: Duration = Duration::from_secs(60);

/// The reports on locks whose names begin with a prefix.
pub(crate) struct Reports {
    prefix: String,
    told: Arc<Told>,
    _subscription: Subscription,
}

#[derive(Default)]
struct Told {
    reports: Mutex<VecDeque<Report>>,
    changed: Condvar,
}

impl Reports {
    /// `prefix` is the test's own.
    pub(crate) fn on(prefix: impl Into<String>) -> Reports {
        static SET: Once = Once::new();
        SET.call_once(|| guard::set_lock_budget(BUDGET));
        let prefix = prefix.into();
        let told = Arc::new(Told::default());
        let (wanted, teller) = (prefix.clone(), Arc::clone(&told));
        let subscription = guard::on_report(move |report| {
            if names(report).iter().any(|name| name.starts_with(&wanted)) {
                teller.reports.lock().unwrap().push_back(report.clone());
                teller.changed.notify_all();
            }
        });
        Reports {
            prefix,
            told,
            _subscription: subscription,
        }
    }

    /// A name for a lock of this test.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{} {name}", self.prefix)
    }

    pub(crate) fn next(&self) -> Report {
        let reports = self.told.reports.lock().unwrap();
        let (mut reports, _) = self
            .told
            .changed
            .wait_timeout_while(reports, NEVER, |reports| reports.is_empty())
            .unwrap();
        let report = reports.pop_front();
        report.unwrap_or_else(|| panic!("{}: no report", self.prefix))
    }

    /// Whether one has come.
    pub(crate) fn is_there(&self) -> bool {
        !self.told.reports.lock().unwrap().is_empty()
    }

    /// The next deadlock; reports on locks held for long are passed over.
    pub(crate) fn deadlock(&self) -> Deadlock {
        loop {
            if let Report::Deadlock(deadlock) = self.next() {
                return deadlock;
            }
        }
    }

    pub(crate) fn held(&self) -> LockHeld {
        loop {
            if let Report::LockHeld(held) = self.next() {
                return held;
            }
        }
    }

    pub(crate) fn released(&self) -> LockReleased {
        loop {
            if let Report::LockReleased(released) = self.next() {
                return released;
            }
        }
    }

    pub(crate) fn futurelock(&self) -> Futurelock {
        loop {
            if let Report::Futurelock(futurelock) = self.next() {
                return futurelock;
            }
        }
    }

    /// Takes out the report on a mark of this test, once it is there.
    pub(crate) fn take_mark(&self, mark: &Deadlock) -> bool {
        let mut reports = self.told.reports.lock().unwrap();
        let text = mark.to_string();
        loop {
            let index = reports.iter().position(
                |report| matches!(report, Report::Deadlock(other) if other.to_string() == text),
            );
            if let Some(index) = index {
                reports.remove(index);
                return true;
            }
            let waited = self.told.changed.wait_timeout(reports, NEVER).unwrap();
            if waited.1.timed_out() {
                return false;
            }
            reports = waited.0;
        }
    }

    /// Those that have come.
    pub(crate) fn so_far(&self) -> Vec<Report> {
        self.told.reports.lock().unwrap().drain(..).collect()
    }

    /// Deadlocks that have come.
    pub(crate) fn deadlocks_so_far(&self) -> Vec<Deadlock> {
        let reports = self.so_far().into_iter();
        reports
            .filter_map(|report| match report {
                Report::Deadlock(deadlock) => Some(deadlock),
                _ => None,
            })
            .collect()
    }
}

/// The names of the locks that a report is of.
fn names(report: &Report) -> Vec<String> {
    let locks = match report {
        Report::Deadlock(deadlock) => {
            let waits = deadlock.parties.iter().flat_map(|party| &party.waits);
            waits.map(|wait| wait.lock.clone()).collect()
        }
        Report::Futurelock(futurelock) => vec![futurelock.lock.clone()],
        Report::LockHeld(held) => vec![held.lock.clone()],
        Report::LockReleased(released) => vec![released.lock.clone()],
        _ => vec![],
    };
    let names = locks.into_iter().filter_map(|lock| lock.name);
    names.map(|name| name.to_string()).collect()
}

/// The party that is a task.
pub(crate) fn party_of<T>(deadlock: &Deadlock, task: &JoinHandle<T>) -> DeadlockParty {
    let party = deadlock
        .parties
        .iter()
        .find(|party| matches!(&party.user, LockUser::Task(info) if info.id == task.id()));
    party
        .unwrap_or_else(|| panic!("not in it: {deadlock}"))
        .clone()
}

/// The locks' names that a party holds and waits for, without the prefix.
pub(crate) fn ends(party: &DeadlockParty) -> (Vec<String>, Vec<String>) {
    let last = |uses: &[guard::LockUse]| {
        let names = uses.iter().filter_map(|one| one.lock.name.as_deref());
        names
            .filter_map(|name| name.split(' ').next_back())
            .map(str::to_string)
            .collect()
    };
    (last(&party.holds), last(&party.waits))
}
