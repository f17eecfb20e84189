//! What each sum means.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::{Record, Site, Totals};
use crate::report::{Advice, LockWait, SiteAdvice, SiteKind, Verdict};

/// Below so many looks at all threads together nothing is said of shares: a
/// share of one half would be anything from 0.4 to 0.6.
const LOOKS_MIN: u64 = 100;
/// Below so many looks that met a place its share is not known to a quarter.
const SAMPLES_MIN: u64 = 20;
/// A place that uses less than this part of one thread is nobody's trouble,
/// unless its polls are long. Of one thread, and not of all: where there are
/// sixty-four, one that computes all day is one in sixty-four.
const THREAD_PART_MIN: f64 = 0.1;
/// A place that takes longer than this for each I/O operation computes. An
/// operation costs 1 to 30 µs with the runtime's and the kernel's part, so
/// that some 95 % of the time are something else; and it is far enough from
/// that for unoptimized programs on busy machines.
const TIME_PER_IO_MAX: Duration = Duration::from_micros(500);
/// A poll that takes this long is one that others wait for: the budget that
/// stalls are reported by, unless it was changed.
const LONG_POLL: Duration = Duration::from_millis(10);
/// Below so many moments at which it was seen what a place's short polls do,
/// that is not known.
const STATES_MIN: u64 = 10;
/// A lock that made tasks wait for less than this part of the time is no
/// bottleneck.
const LOCK_PART_MIN: f64 = 0.1;
/// Fewer waits are an event, not a habit.
const LOCK_WAITS_MIN: u64 = 10;

/// Makes of the sums what there is to say, what uses most first.
pub(super) fn advise(
    totals: &Totals,
    records: &BTreeMap<Site, Record>,
    waits: Vec<LockWait>,
) -> Advice {
    let mut records = records.clone();
    for wait in &waits {
        // Who only ever waits may never have been met.
        records.entry((wait.site, SiteKind::Tasks)).or_default();
    }
    let sites = records.iter().map(|(site, record)| {
        let lock_wait = main_lock(totals, record, site, &waits);
        site_advice(totals, *site, record, lock_wait)
    });
    let mut sites: Vec<SiteAdvice> = sites.collect();
    sites.sort_by(|one, other| other.busy.cmp(&one.busy).then(other.io.cmp(&one.io)));
    Advice {
        sites,
        elapsed: totals.elapsed,
        worker_time: totals.worker_time,
        busy: totals.busy,
        looks: totals.looks,
        resolution: totals.resolution,
        is_enough: totals.looks >= LOOKS_MIN,
    }
}

fn site_advice(
    totals: &Totals,
    (location, kind): Site,
    record: &Record,
    lock_wait: Option<LockWait>,
) -> SiteAdvice {
    let io = record.counts.io;
    SiteAdvice {
        location,
        kind,
        busy: record.busy,
        share: part(record.busy, totals.worker_time),
        samples: record.samples,
        polls: record.polls,
        longest_poll: record.longest,
        blocked: record.blocked_part(),
        io,
        io_per_second: if totals.elapsed.is_zero() {
            0.0
        } else {
            io as f64 / totals.elapsed.as_secs_f64()
        },
        offloads: record.counts.offloads,
        verdict: verdict(totals, record, lock_wait.is_some()),
        lock_wait,
        resolution: totals.resolution,
    }
}

fn verdict(totals: &Totals, record: &Record, waits_for_lock: bool) -> Verdict {
    let Record {
        busy,
        samples,
        longest,
        blocked,
        counts,
        ..
    } = *record;
    let is_busy = part(busy, totals.elapsed) >= THREAD_PART_MIN;
    let is_known = samples >= SAMPLES_MIN && totals.looks >= LOOKS_MIN;
    let is_seen = is_known && (record.states >= STATES_MIN || record.judged >= LONG_POLL);
    let has_blocked = blocked >= LONG_POLL || (is_seen && is_busy);
    if has_blocked && record.blocked_part() >= 0.5 {
        return Verdict::Blocks;
    }
    let is_for_io = time_per(busy, counts.io) <= TIME_PER_IO_MAX;
    if is_seen && is_busy && !is_for_io {
        return Verdict::Computes;
    }
    if waits_for_lock {
        return Verdict::WaitsForLock;
    }
    if longest >= LONG_POLL {
        return Verdict::LongPolls;
    }
    if totals.looks < LOOKS_MIN || (is_busy && !(is_known && is_for_io)) {
        return Verdict::TooLittle;
    }
    if counts.io > 0 || counts.offloads > 0 {
        return Verdict::Fine;
    }
    Verdict::Quiet
}

impl Record {
    /// The part of its polls' time in which they waited in the kernel, from 0
    /// to 1: of long polls if there were any, since of these it is measured;
    /// else of moments.
    fn blocked_part(&self) -> f64 {
        if self.judged >= LONG_POLL && self.judged * 2 >= self.busy {
            part(self.blocked, self.judged)
        } else if self.states > 0 {
            self.blocked_states as f64 / self.states as f64
        } else {
            part(self.blocked, self.judged)
        }
    }
}

/// The lock that a place's tasks wait for more than for any other, and more
/// than they run.
fn main_lock(
    totals: &Totals,
    record: &Record,
    (location, kind): &Site,
    waits: &[LockWait],
) -> Option<LockWait> {
    let own = || waits.iter().filter(|wait| wait.site == *location);
    let all: Duration = own().map(|wait| wait.waited).sum();
    let main = own().max_by_key(|wait| wait.waited)?;
    let is_main = *kind == SiteKind::Tasks
        && main.waits >= LOCK_WAITS_MIN
        && main.waited * 2 >= all
        && main.waited >= record.busy
        && part(main.waited, totals.elapsed) >= LOCK_PART_MIN;
    is_main.then(|| main.clone())
}

fn part(some: Duration, all: Duration) -> f64 {
    if all.is_zero() {
        0.0
    } else {
        some.as_secs_f64() / all.as_secs_f64()
    }
}

fn time_per(busy: Duration, count: u64) -> Duration {
    match count {
        0 => Duration::MAX,
        count => busy.div_f64(count as f64),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
