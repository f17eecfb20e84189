//! The guard's thread: it looks at every watched thread, again and again,
//! and sleeps while nothing runs.
//!
//! A stuck thread may hold any lock that is not ours: the kernel's on the
//! memory map (`mmap`, `mlock`), the loader's (`dlopen`), the allocator's. So
//! from one look to the next the guard allocates nothing, frees nothing, starts
//! nothing, and waits for no lock that anybody holds while doing so. Its locks
//! are the standard library's, which sleep on a futex and need neither memory
//! nor a table that other threads grow; others it tries. What takes more is
//! done by those who stand by (`scheduler::spares`), by the `starter`, the
//! `copier` and the `reporter`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::advice;
use super::entry::{self, Entry};
use super::jitter::Jitter;
use super::reporter;
use crate::capture::Target;
use crate::post::Running;
use crate::rounds::Due;
use crate::thread_state::Switches;
use crate::{context, rounds, slice, thread_state, threads};

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
    /// For how long the guard was kept from this look by what it did at the
    /// last one, if for long.
    pub(super) kept: Option<Duration>,
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
pub(super) struct Engine {
    last_round: Instant,
    last_rescue: Instant,
    /// Between looks, while something goes on.
    period: Duration,
    /// Whether something did at the last look.
    is_uneasy: bool,
    haste: u32,
    quiet: u32,
    /// For how long the last look was kept from its end.
    kept: Duration,
    jitter: Jitter,
}

impl Engine {
    pub(super) fn new() -> Engine {
        let now = Instant::now();
        Engine {
            last_round: now,
            last_rescue: now,
            period: PERIOD_MIN,
            is_uneasy: false,
            haste: 0,
            quiet: 0,
            kept: Duration::ZERO,
            jitter: Jitter::new(),
        }
    }

    /// Makes rounds until told to stop.
    pub(super) fn run(&mut self, stop: &AtomicBool) {
        // It must be on time when all CPUs are busy, and it does little.
        slice::shorten();
        warm_up();
        while !stop.load(Ordering::Relaxed) {
            let before = Switches::so_far();
            let is_quiet = self.look();
            let due = rounds::due();
            let is_due = matches!(due, Due::At(at) if at <= self.last_round);
            if is_due {
                reporter::walk();
            }
            self.kept = kept(before, self.last_round.elapsed());
            let until = match due {
                Due::Never => None,
                Due::At(at) => Some(at),
                Due::Busy => Some(self.last_round),
            };
            self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
            if self.quiet > QUIET_MAX && until.is_none_or(|until| until > self.last_round) {
                let seats = advice::seats(&entry::lock());
                let limit = until.map(|until| until.saturating_duration_since(Instant::now()));
                rounds::sleep(limit, || {
                    stop.load(Ordering::Relaxed) || is_anything_running()
                });
                self.quiet = 0;
                let now = Instant::now();
                advice::nothing_ran(seats, now - self.last_round);
                self.last_round = now;
                self.kept = Duration::ZERO;
            } else {
                rounds::doze(self.jitter.shorten(self.until_next()));
            }
        }
    }

    /// Looks at every thread; says whether nothing ran.
    fn look(&mut self) -> bool {
        let entries = entry::lock();
        let now = Instant::now();
        self.choose_period(&entries);
        let passed = now - self.last_round;
        let mut round = Round {
            now,
            passed,
            step: passed.min(self.until_next() * 2),
            has_rescued: false,
            is_uneasy: false,
            kept: (self.kept >= self.period * LOOKS_PER_BUDGET).then_some(self.kept),
            period: self.period,
            haste: self.haste,
        };
        let mut is_quiet = true;
        for entry in entries.iter() {
            is_quiet &= !entry.eye.lock().look(entry, &mut round);
        }
        advice::sample(&entries, passed, self.until_next());
        drop(entries);
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

/// How much of the time since `before` counts as waited: all of it, unless it
/// was for a CPU.
fn kept(before: Switches, passed: Duration) -> Duration {
    match Switches::so_far().since(before) {
        Switches {
            waits: 1..,
            preemptions: 0,
        } => passed,
        _ => Duration::ZERO,
    }
}

/// Does once what must not be done for the first time on the way to a rescue:
/// code and stack come into memory, the thread's own variables are made.
fn warm_up() {
    threads::warm_stack();
    let own = Target::this_thread().tid();
    let _ = (thread_state::state_of(own), thread_state::cpu_time(own));
    let _ = (context::current_task(), std::thread::panicking());
    rounds::doze(Duration::ZERO);
}

/// Whether any watched thread runs anything.
fn is_anything_running() -> bool {
    let entries = entry::lock();
    entries
        .iter()
        .any(|entry| entry.post.look().running() != Running::NOTHING)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::{Duration, Instant};

    use super::super::entry;
    use super::super::eye::Eye;
    use super::super::host::{Counters, Host, Settings};
    use super::super::lease::Lease;
    use super::super::reporter;
    use super::{Round, kept};
    use crate::capture::DEFAULT_SIGNAL;
    use crate::context;
    use crate::post::{Hook, Running};
    use crate::report::{Culprit, LimitHit, Report, on_report};
    use crate::thread_state::Switches;

    const ROLE: &str = "the thread of a test of the guard";
    const HELD_UP: Duration = Duration::from_secs(3);

    #[derive(Default)]
    struct Runtime(Counters);

    impl Host for Runtime {
        fn role(&self) -> String {
            ROLE.into()
        }

        fn runtime_name(&self) -> Option<Arc<str>> {
            None
        }

        fn counters(&self) -> &Counters {
            &self.0
        }
    }

    fn round(kept: Option<Duration>) -> Round {
        Round {
            now: Instant::now(),
            passed: Duration::from_millis(2),
            step: Duration::from_millis(2),
            has_rescued: false,
            is_uneasy: false,
            kept,
            period: Duration::from_millis(2),
            haste: 0,
        }
    }

    #[test]
    fn what_was_over_when_the_guard_came_back_is_reported() {
        let (give, take) = mpsc::channel();
        let _subscription = on_report(move |report| {
            if let Report::GuardHeldUp(held_up) = report
                && held_up.role == ROLE
            {
                let _ = give.send(held_up.clone());
            }
        });
        // The reporter runs.
        let _lease = Lease::new();
        let settings = Settings {
            budget: Duration::from_secs(3_600),
            signal: DEFAULT_SIGNAL,
        };
        let watching = entry::watch_thread(settings, Box::<Runtime>::default());
        let all = entry::all().into_iter();
        let mut own = all.filter(|entry| Arc::ptr_eq(&entry.post, watching.post()));
        let entry = own.next().expect("it is watched");
        let mut eye = Eye::default();
        // One that ends while the guard looks in time, and one that does not.
        for (hook, kept) in [(Hook::Stop, None), (Hook::Start, Some(HELD_UP))] {
            let running = context::enter_code(Running::hook(hook));
            assert!(eye.look(&entry, &mut round(None)));
            drop(running);
            assert!(!eye.look(&entry, &mut round(kept)));
        }
        let held_up = take.recv_timeout(Duration::from_secs(20));
        let held_up = held_up.expect("it is reported");
        assert_eq!(held_up.culprit, Culprit::Hook("on_thread_start"));
        assert!(held_up.lasted_max >= HELD_UP);
        let text = held_up.to_string();
        assert!(text.contains("held up for 3000 ms"), "{text}");
    }

    #[test]
    fn the_reporter_goes_on_for_whoever_comes_while_it_ends() {
        let (give, take) = mpsc::channel();
        let _subscription = on_report(move |report| {
            if let Report::Limit(limit) = report
                && limit.name == ROLE
            {
                let _ = give.send(());
            }
        });
        // So that nobody else ends it.
        let _lease = Lease::new();
        // The last runtime ends, and before that is through there is another.
        reporter::begin_finish();
        reporter::start();
        reporter::finish();
        reporter::say(LimitHit::new(ROLE, 1, "a test"));
        let said = take.recv_timeout(Duration::from_secs(20));
        said.expect("it is said");
    }

    #[test]
    fn the_guard_is_kept_by_a_wait_and_not_by_work() {
        let (before, begin) = (Switches::so_far(), Instant::now());
        while begin.elapsed() < Duration::from_millis(5) {}
        assert_eq!(kept(before, begin.elapsed()), Duration::ZERO);
        // A machine that is busy may want the CPU meanwhile.
        let is_kept = (0..100).any(|_| {
            let (before, begin) = (Switches::so_far(), Instant::now());
            std::thread::sleep(Duration::from_millis(1));
            kept(before, begin.elapsed()) >= Duration::from_millis(1)
        });
        assert!(is_kept);
    }
}
