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
    lasted: Duration,
    /// How long it had lasted when its thread's CPU time was read, and that.
    cpu_then: Option<(Duration, Duration)>,
    /// Of what it lasted, for how long its thread only waited for a CPU.
    starved: Duration,
}

/// What one look has added to what is known of a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse {
    pub(super) running: Running,
    /// Whether this is the first look at that poll.
    pub(super) is_new: bool,
    /// How long that poll has been seen to go on, without what it waited for a
    /// CPU: that is not its doing.
    pub(super) lasted: Duration,
    /// For how long, in this look, it was found out what a long poll did.
    pub(super) judged: Duration,
    /// How much of that it was waiting in the kernel.
    pub(super) blocked: Duration,
}

impl Gaze {
    /// Looks at a thread, `passed` after the last look, where `period` was
    /// meant; `None` when it runs nothing. Takes what it reads from
    /// `reads_left`.
    pub(super) fn look(
        &mut self,
        entry: &Entry,
        (passed, period): (Duration, Duration),
        reads_left: &mut u32,
    ) -> Option<Glimpse> {
        let seen = entry.post.look();
        let running = seen.running();
        let mut glimpse = Glimpse {
            running,
            is_new: false,
            lasted: Duration::ZERO,
            judged: Duration::ZERO,
            blocked: Duration::ZERO,
        };
        match &mut self.poll {
            Some(poll) if poll.seen == seen && running != Running::NOTHING => {
                poll.looks += 1;
                if poll.looks == 2 {
                    // What kept the guard has kept the poll as well: of this
                    // first part it is not known what it did.
                    poll.starved = passed.saturating_sub(period);
                }
                poll.lasted += passed;
                if is_judged_at(poll.looks) && *reads_left > 0 {
                    *reads_left -= 1;
                    poll.judge(entry.target.tid(), &mut glimpse);
                }
                glimpse.lasted = poll.known();
            }
            _ if running == Running::NOTHING => {
                self.poll = None;
                return None;
            }
            _ => {
                glimpse.is_new = true;
                self.poll = Some(Poll {
                    seen,
                    looks: 1,
                    lasted: Duration::ZERO,
                    cpu_then: None,
                    starved: Duration::ZERO,
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
        if let Some((lasted, cpu)) = self.cpu_then.replace((self.lasted, cpu_now)) {
            let judged = self.lasted - lasted;
            let waited = judged.saturating_sub(cpu_now.saturating_sub(cpu));
            glimpse.judged = judged;
            if waited <= judged / 4 {
                return;
            }
            if matches!(state_of(tid), ThreadState::Blocked(_)) {
                glimpse.blocked = waited;
            } else {
                self.starved += waited;
            }
        }
    }

    /// How long it has lasted, as far as it is known what it did.
    fn known(&self) -> Duration {
        let judged = self.cpu_then.map_or(Duration::ZERO, |(lasted, _)| lasted);
        judged.saturating_sub(self.starved)
    }
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
