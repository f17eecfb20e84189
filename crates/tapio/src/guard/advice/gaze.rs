//! What the advice remembers of one thread between two looks.

use std::time::Duration;

use crate::guard::entry::Entry;
use crate::post::{Running, Seen};
use crate::thread_state::{ThreadState, cpu_time, state_of};

/// What is remembered of a thread; used by the guard's thread only.
#[derive(Debug, Default)]
pub(in crate::guard) struct Gaze {
    poll: Option<Poll>,
}

/// The poll that went on at the last look.
#[derive(Debug)]
struct Poll {
    seen: Seen,
    looks: u32,
    /// Since the first look.
    lasted: Duration,
    /// How long it had lasted when its thread's CPU time was last read, and
    /// that.
    cpu_then: Option<(Duration, Duration)>,
    /// Of what it lasted, for how long it is known what it did: it had a CPU,
    /// or waited in the kernel. Time that it waited for a CPU is not its doing.
    known: Duration,
}

/// What one look has added to what is known of a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse {
    pub(super) running: Running,
    /// Whether this is the first look at that poll.
    pub(super) is_new: bool,
    /// How long that poll has been seen to do something.
    pub(super) lasted: Duration,
    /// How much of a CPU it has had since that was last read.
    pub(super) used: Duration,
    /// How long it has been waiting in the kernel since then.
    pub(super) blocked: Duration,
    /// Whether it was waiting in the kernel in the moment of this look, if
    /// somebody looked.
    pub(super) is_blocked: Option<bool>,
}

/// How much may be read of threads in one round.
#[derive(Debug)]
pub(super) struct Allowance {
    /// CPU times.
    pub(super) times: u32,
    /// States, each of which takes a file.
    pub(super) states: u32,
}

impl Gaze {
    /// Looks at a thread, `passed` after the last look; `None` when it runs
    /// nothing. Takes what it reads from `allowance`.
    pub(super) fn look(
        &mut self,
        entry: &Entry,
        passed: Duration,
        allowance: &mut Allowance,
    ) -> Option<Glimpse> {
        let seen = entry.post.look();
        let running = seen.running();
        let mut glimpse = Glimpse {
            running,
            is_new: false,
            lasted: Duration::ZERO,
            used: Duration::ZERO,
            blocked: Duration::ZERO,
            is_blocked: None,
        };
        if running == Running::NOTHING {
            self.poll = None;
            return None;
        }
        let tid = entry.target.tid();
        match &mut self.poll {
            Some(poll) if poll.seen == seen => {
                poll.looks += 1;
                poll.lasted += passed;
                if is_judged_at(poll.looks) && take_one(&mut allowance.times) {
                    poll.judge(tid, &mut glimpse);
                }
                glimpse.lasted = poll.known;
            }
            _ => {
                glimpse.is_new = true;
                if take_one(&mut allowance.states) {
                    let is_blocked = matches!(state_of(tid), ThreadState::Blocked(_));
                    // If it has gone on meanwhile, that was another wait, and
                    // this poll does not wait for long.
                    glimpse.is_blocked = Some(is_blocked && entry.post.look() == seen);
                }
                let is_timed = take_one(&mut allowance.times);
                let cpu_now = is_timed.then(|| cpu_time(tid)).flatten();
                self.poll = Some(Poll {
                    seen,
                    looks: 1,
                    lasted: Duration::ZERO,
                    cpu_then: cpu_now.map(|now| (Duration::ZERO, now)),
                    known: Duration::ZERO,
                });
            }
        }
        Some(glimpse)
    }
}

impl Poll {
    /// Finds out what the poll has done since the last time: compute, or wait
    /// in the kernel.
    fn judge(&mut self, tid: i32, glimpse: &mut Glimpse) {
        let Some(cpu_now) = cpu_time(tid) else {
            return;
        };
        let Some((lasted, cpu)) = self.cpu_then.replace((self.lasted, cpu_now)) else {
            return;
        };
        let passed = self.lasted - lasted;
        // By the guard's clock, which a look may be late on.
        glimpse.used = cpu_now.saturating_sub(cpu).min(passed);
        let waited = passed - glimpse.used;
        if waited > passed / 4 && matches!(state_of(tid), ThreadState::Blocked(_)) {
            glimpse.blocked = waited;
        }
        self.known += glimpse.used + glimpse.blocked;
    }
}

/// Whether there is one left, which is then taken.
fn take_one(left: &mut u32) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}

/// The looks at a poll at which it is found out what its thread does, which may
/// take two files: all at first, then one in so many that the rest is an eighth at the most,
/// and a poll that lasts for an hour costs no more than two hundred of them.
fn is_judged_at(looks: u32) -> bool {
    let step = (looks.next_power_of_two() / 16).max(1);
    looks >= 2 && looks.is_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::is_judged_at;

    #[test]
    fn long_polls_are_judged_seldom_and_never_long_ago() {
        let mut last = 2;
        let mut count = 0;
        for looks in 2..2_000_000 {
            if is_judged_at(looks) {
                last = looks;
                count += 1;
            }
            assert!(looks - last <= looks / 8, "{looks} after {last}");
        }
        assert!(count < 200, "{count}");
    }
}
