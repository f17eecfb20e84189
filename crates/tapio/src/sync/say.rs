//! Reports on locks are told by a thread of their own: what listeners do must
//! neither happen in the middle of somebody's poll nor keep the guard. It is
//! started when there is something to say, and ends when all is said.

use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::time::{Duration, Instant};

use tapio_driver::PerProcess;
use tapio_driver::lock::Mutex;

use super::ledger::Ledger;
use crate::report::Report;
use crate::threads;

/// What is told of a lock and a line is not told again for so long.
const WINDOW: Duration = Duration::from_secs(10);
/// Locks and lines of one window that are remembered; beyond, nothing new is
/// told until some are older.
const REMEMBERED_MAX: usize = 256;
/// Reports that wait to be told; more are dropped.
const QUEUE_MAX: usize = 1024;

static QUEUE: PerProcess<Mutex<Queue>> = PerProcess::new(|_| Mutex::default());

#[derive(Default)]
struct Queue {
    reports: VecDeque<Report>,
    is_running: bool,
    dropped: u64,
}

/// Tells `reports`, soon and elsewhere.
pub(super) fn all(reports: Vec<Report>) {
    if reports.is_empty() {
        return;
    }
    let mut queue = QUEUE.lock();
    for report in reports {
        if queue.reports.len() < QUEUE_MAX {
            queue.reports.push_back(report);
        } else {
            queue.dropped += 1;
        }
    }
    if std::mem::replace(&mut queue.is_running, true) {
        return;
    }
    drop(queue);
    if let Err(error) = threads::start("tapio-locks".into(), None, tell) {
        tracing::warn!("no thread to tell of locks, so it is told here: {error}");
        tell();
    }
}

fn tell() {
    loop {
        let mut queue = QUEUE.lock();
        let dropped = std::mem::take(&mut queue.dropped);
        let Some(report) = queue.reports.pop_front() else {
            queue.is_running = false;
            return;
        };
        drop(queue);
        if dropped > 0 {
            tracing::warn!("{dropped} reports on locks were dropped: {QUEUE_MAX} wait to be told");
        }
        report.deliver();
    }
}

/// Whether nothing was told of this lock and line for a while.
pub(super) fn is_new(ledger: &Ledger, place: &'static Location<'static>, now: Instant) -> bool {
    type Key = (u64, &'static Location<'static>);
    static TOLD: PerProcess<Mutex<HashMap<Key, Instant>>> = PerProcess::new(|_| Mutex::default());
    let key = (ledger.number(), place);
    let mut told = TOLD.lock();
    if told.get(&key).is_some_and(|at| now < *at + WINDOW) {
        return false;
    }
    if told.len() >= REMEMBERED_MAX {
        told.retain(|_, at| now < *at + WINDOW);
    }
    if told.len() >= REMEMBERED_MAX {
        return false;
    }
    told.insert(key, now);
    true
}
