//! The guard's thread: it looks at every watched thread, again and again,
//! and sleeps while nothing runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::entry::{self, Entry};
use super::jitter::Jitter;
use super::{advice, copier, reporter};
use crate::post::Running;
use crate::{rounds, slice, threads};

/// Looks for each budget, once something goes on from one look to the next.
const LOOKS_PER_BUDGET: u32 = 5;
/// So many times rarer while nothing does: to wake up is most of what the guard
/// costs (decision 0008). With a guard that is on time a stall is seen after a
/// budget, the time before its first look and one look more: 16 of 10 ms at the
/// most; the others are rescued after 10.
const EASE: u32 = 2;
/// The guard goes to sleep after so many looks at which nothing ran. More, and
/// a program with a request now and then would have it make rounds for
/// nothing; fewer, and a busy one would wake it again and again.
const QUIET_MAX: u32 = 5;
/// Between looks, when no budget asks for anything else.
const PERIOD_MAX: Duration = Duration::from_millis(100);
const PERIOD_MIN: Duration = Duration::from_micros(200);
/// Stalls seldom come alone: after each rescue the next one is made sooner,
/// down to a part of the budget; the guard calms down by one step each time
/// that this long passes without one.
const CALM: Duration = Duration::from_millis(100);
const HASTE_MAX: u32 = 3;

static GUARD: Mutex<Guard> = Mutex::new(Guard {
    leases: 0,
    thread: None,
});

/// The guard's thread, and for how many runtimes it runs.
struct Guard {
    leases: usize,
    thread: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

/// Keeps the guard running; each runtime has one.
#[derive(Debug)]
pub(crate) struct Lease(());

impl Lease {
    /// Starts the guard, unless it runs. Without a thread for it the runtime
    /// does without, and says so.
    pub(crate) fn new() -> Lease {
        let mut guard = GUARD.lock();
        guard.leases += 1;
        if guard.thread.is_none() {
            copier::start();
            let stop = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&stop);
            match threads::start("tapio-guard".into(), None, move || Engine::new().run(&seen)) {
                Ok(thread) => guard.thread = Some((thread, stop)),
                Err(error) => tracing::warn!("no thread for the guard: {error}"),
            }
        }
        Lease(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut guard = GUARD.lock();
        guard.leases -= 1;
        if guard.leases > 0 {
            return;
        }
        if let Some((thread, stop)) = guard.thread.take() {
            // Relaxed: the bell's lock orders it for the guard.
            stop.store(true, Ordering::Relaxed);
            rounds::ring();
            // Under the lock, so that a new guard never runs beside this one,
            // which takes no lock of ours.
            let _ = thread.join();
        }
        copier::finish();
        drop(guard);
        reporter::finish();
        advice::say_if_asked();
    }
}

/// One look at everything.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) now: Instant,
    /// What has really passed since the last round.
    pub(super) passed: Duration,
    /// How much time counts as passed since the last round: what really
    /// passed, unless the guard itself was kept from looking.
    pub(super) step: Duration,
    pub(super) has_rescued: bool,
    /// Something goes on since the last round, and may become a stall.
    pub(super) is_uneasy: bool,
    /// Between looks, while something goes on.
    pub(super) period: Duration,
    haste: u32,
}

impl Round {
    /// Whether the others are to be rescued from a poll that has `lasted`, and
    /// perhaps for some time `unseen` before.
    pub(super) fn is_too_long(&self, lasted: Duration, unseen: Duration, budget: Duration) -> bool {
        let before = budget / LOOKS_PER_BUDGET * (LOOKS_PER_BUDGET - 1);
        let patience = (before / (1 << self.haste)).max(self.period);
        lasted + unseen >= patience && lasted >= (patience / 2).max(self.period)
    }
}

/// What the guard's thread knows.
struct Engine {
    last_round: Instant,
    last_rescue: Instant,
    /// Between looks, while something goes on.
    period: Duration,
    /// Whether something did at the last look.
    is_uneasy: bool,
    haste: u32,
    quiet: u32,
    jitter: Jitter,
}

impl Engine {
    fn new() -> Engine {
        let now = Instant::now();
        Engine {
            last_round: now,
            last_rescue: now,
            period: PERIOD_MIN,
            is_uneasy: false,
            haste: 0,
            quiet: 0,
            jitter: Jitter::new(),
        }
    }

    /// Makes rounds until told to stop.
    fn run(&mut self, stop: &AtomicBool) {
        // It must be on time when all CPUs are busy, and it does little.
        slice::shorten();
        while !stop.load(Ordering::Relaxed) {
            let is_quiet = self.look();
            let due = rounds::walk(self.last_round);
            self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
            if self.quiet > QUIET_MAX {
                let seats = advice::seats(&entry::all());
                rounds::sleep(due, || {
                    stop.load(Ordering::Relaxed) || is_anything_running()
                });
                self.quiet = 0;
                let now = Instant::now();
                advice::nothing_ran(seats, now - self.last_round);
                self.last_round = now;
            } else {
                rounds::doze(self.jitter.shorten(self.until_next()));
            }
        }
    }

    /// Looks at every thread; says whether nothing ran.
    fn look(&mut self) -> bool {
        let entries = entry::all();
        let now = Instant::now();
        self.choose_period(&entries);
        let passed = now - self.last_round;
        let mut round = Round {
            now,
            passed,
            step: passed.min(self.until_next() * 2),
            has_rescued: false,
            is_uneasy: false,
            period: self.period,
            haste: self.haste,
        };
        let mut is_quiet = true;
        for entry in &entries {
            is_quiet &= !entry.eye.lock().look(entry, &mut round);
        }
        advice::sample(&entries, passed, self.until_next());
        self.choose_haste(now, round.has_rescued);
        self.is_uneasy = round.is_uneasy;
        self.last_round = now;
        is_quiet
    }

    fn choose_period(&mut self, entries: &[Arc<Entry>]) {
        let budgets = entries.iter().map(|entry| entry.settings.budget);
        // Without any the guard falls asleep soon: while it dozes, nobody's
        // call reaches it.
        let period = budgets
            .min()
            .map_or(PERIOD_MIN, |budget| budget / LOOKS_PER_BUDGET);
        self.period = period.clamp(PERIOD_MIN, PERIOD_MAX);
    }

    /// Between the last look and the next, at the most.
    fn until_next(&self) -> Duration {
        if self.is_uneasy || self.haste > 0 {
            self.period
        } else {
            (self.period * EASE).min(PERIOD_MAX)
        }
    }

    fn choose_haste(&mut self, now: Instant, has_rescued: bool) {
        if has_rescued {
            self.last_rescue = now;
            self.haste = (self.haste + 1).min(HASTE_MAX);
        } else if self.haste > 0 && now - self.last_rescue >= CALM {
            self.last_rescue = now;
            self.haste -= 1;
        }
    }
}

/// Whether any watched thread runs anything.
fn is_anything_running() -> bool {
    let entries = entry::all();
    entries
        .iter()
        .any(|entry| entry.post.look().running() != Running::NOTHING)
}
