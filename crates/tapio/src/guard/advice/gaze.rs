//! What the advice remembers of one thread between two looks.

use std::time::Duration;

use crate::guard::entry::Entry;
use crate::post::{Running, Seen};
use crate::thread_state::{ThreadState, cpu_times, state_of};

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
}

/// What one look has added to what is known of a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glimpse {
    pub(super) running: Running,
    /// Whether this is the first look at that poll.
    pub(super) is_new: bool,
    /// How long that poll has been seen to go on.
    pub(super) lasted: Duration,
    /// For how long, in this look, it was found out what a long poll did.
    pub(super) judged: Duration,
    /// How much of that it was waiting in the kernel.
    pub(super) blocked: Duration,
}

impl Gaze {
    /// Looks at a thread, `passed` after the last look; `None` when it runs
    /// nothing.
    pub(super) fn look(&mut self, entry: &Entry, passed: Duration) -> Option<Glimpse> {
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
                poll.lasted += passed;
                glimpse.lasted = poll.lasted;
                if is_judged_at(poll.looks) {
                    poll.judge(entry.target.tid(), &mut glimpse);
                }
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
        let Some(times) = cpu_times(tid) else {
            return;
        };
        if let Some((lasted, cpu)) = self.cpu_then.replace((self.lasted, times.cpu)) {
            let judged = self.lasted - lasted;
            let waited = judged.saturating_sub(times.cpu.saturating_sub(cpu));
            glimpse.judged = judged;
            // Else it computed, or waited for a CPU, which is not its doing.
            if waited > judged / 2 && matches!(state_of(tid), ThreadState::Blocked { .. }) {
                glimpse.blocked = waited;
            }
        }
    }
}

/// The looks at a poll at which its thread's CPU time is read, a file each:
/// the second, third, fifth, ninth and so on, so that a poll that lasts for an
/// hour costs no more than twenty of them.
fn is_judged_at(looks: u32) -> bool {
    looks >= 2 && (looks - 1).is_power_of_two()
}
