//! What the guard would change in a program, from what it saw.
//!
//! Reading order: `gaze` looks at one thread; `ledger` adds up by spawn site;
//! `judge` makes of each sum a verdict. The words are in `report::advice`.
//!
//! All of it is on the guard's thread and on that of whoever asks: tasks pay
//! for nothing but the count of an I/O operation (`tally`). Two things follow.
//! A share is a share of looks, good to some percent of itself after a
//! thousand of them; and a poll shorter than two looks has no length.

mod gaze;
mod judge;
mod ledger;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use self::gaze::Allowance;
use self::ledger::Ledger;
use super::entry::{self, Entry};
use super::starter;
use crate::report::{Advice, LockWait, Report};
use crate::sync;

pub(super) use self::gaze::Gaze;

/// No more than this counts as passed between two looks: the guard may be kept
/// from looking on a busy machine, which is time like any other, but a process
/// that is stopped for an hour does not run its tasks for an hour.
const PASSED_MAX: Duration = Duration::from_millis(100);

/// Threads whose CPU time is read in one round, each in less than a
/// microsecond: a thousand that are stuck at once are not to keep the guard from
/// its next look.
const TIMES_MAX: u32 = 32;
/// In one round of so many the state of one thread is read, at the first look
/// at a poll. That takes some ten microseconds, and a few dozen of them say
/// enough.
const STATE_ROUNDS: usize = 4;

static ROUND: AtomicUsize = AtomicUsize::new(0);

/// Whoever ends a watch or asks for advice has it for a moment, with none of
/// the guard's other locks held and no foreign code run.
static LEDGER: Mutex<Ledger> = Mutex::new(Ledger::new());
static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// What the guard would change in this program, from what it has seen so far.
///
/// Since the start, or since [`reset_advice`], over all runtimes of the
/// process whose guard is on. Shares and lengths of polls come from looking,
/// every 4 ms with the usual budget and every 2 ms while a poll goes on; counts
/// of I/O are exact.
///
/// # Cost
/// Microseconds, and no wait for any task; it may be called at any time, on
/// any thread.
///
/// # Examples
/// ```
/// let runtime = tapio::runtime::Runtime::new()?;
/// runtime.block_on(async { /* what the program does */ });
/// println!("{}", tapio::guard::advice());
/// # Ok::<_, std::io::Error>(())
/// ```
#[must_use]
pub fn advice() -> Advice {
    let mut ledger = LEDGER.lock();
    // Under the lock: a thread that ends meanwhile either is in the list or
    // has handed in.
    let records = ledger.records(&entry::all());
    let waits = ledger.waits(lock_waits());
    let (totals, full) = (ledger.totals, ledger.take_is_full());
    drop(ledger);
    if let Some(max) = full {
        tracing::warn!("guard: places told apart ({max}) exceeded: others have no advice");
    }
    judge::advise(&totals, &records, waits)
}

/// Forgets what was seen, so that the next [`advice`] is about what comes
/// from now on: after a program has warmed up, for example.
pub fn reset_advice() {
    let mut ledger = LEDGER.lock();
    ledger.reset(&entry::all(), lock_waits());
}

/// Has the advice reported when the last runtime ends.
pub(crate) fn ask_for_advice() {
    // Relaxed: a flag that stands for itself.
    IS_ASKED.store(true, Ordering::Relaxed);
}

/// The last runtime has ended.
pub(super) fn say_if_asked() {
    if IS_ASKED.load(Ordering::Relaxed) {
        Report::Advice(advice()).deliver();
    }
}

/// Looks at every thread, `passed` after the last time, where `period` at the
/// most was meant.
///
/// The guard does: what it cannot have at once it does without.
pub(super) fn sample(entries: &[Arc<Entry>], passed: Duration, period: Duration) {
    let passed = passed.min(PASSED_MAX);
    // Relaxed: the guard's thread is alone with it.
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    let mut allowance = Allowance {
        times: TIMES_MAX,
        states: u32::from(round.is_multiple_of(STATE_ROUNDS)),
    };
    // Begins elsewhere each time, so that all have their share of what may be
    // read.
    let first = (round / STATE_ROUNDS).checked_rem(entries.len());
    let (before, after) = entries.split_at(first.unwrap_or(0));
    for entry in after.iter().chain(before) {
        // Before the lock: it may read a file.
        let mut gaze = entry.gaze.lock();
        let glimpse = gaze.look(entry, passed, &mut allowance);
        drop(gaze);
        if let Some(mut ledger) = LEDGER.try_lock() {
            ledger.add(entry, glimpse, passed);
        }
    }
    // Whoever has it may wait for memory.
    let Some(mut ledger) = LEDGER.try_lock() else {
        return;
    };
    if !entries.is_empty() {
        ledger.totals.elapsed += passed;
        ledger.totals.resolution = ledger.totals.resolution.max(period);
    }
    if ledger.wants_room() {
        starter::call();
    }
}

/// Makes room for what [`sample`] may see. Called by anybody but the guard.
pub(super) fn make_room() {
    LEDGER.lock().make_room();
}

/// How many threads are there to run tasks.
pub(super) fn seats(entries: &[Arc<Entry>]) -> u32 {
    let seats = entries.iter().filter(|entry| entry.host.has_seat());
    seats.count() as u32
}

/// The guard slept, since so many threads were there and ran nothing.
pub(super) fn nothing_ran(seats: u32, passed: Duration) {
    if let Some(mut ledger) = LEDGER.try_lock() {
        ledger.totals.worker_time += passed * seats;
        if seats > 0 {
            ledger.totals.elapsed += passed;
        }
    }
}

/// Takes over what this thread, whose watch ends, has counted.
pub(super) fn hand_in(entry: &Entry) {
    LEDGER.lock().hand_in(entry);
}

/// How long tasks waited for locks, by where they were spawned.
fn lock_waits() -> Vec<LockWait> {
    let stats = sync::wait_stats().into_iter();
    stats
        .map(|stat| LockWait {
            site: stat.site,
            lock: stat.lock.to_string(),
            waits: stat.waits,
            waited: stat.waited,
        })
        .collect()
}
