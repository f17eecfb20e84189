//! What keeps a thread, by what the kernel says of it at several looks.

use std::time::Duration;

use crate::report::StallCause;
use crate::thread_state::{ThreadState, state_of};

/// A thread that computes must have had a CPU for this part of what makes a
/// stall, for others to take its place: with many that compute, each has a
/// small share, and is stuck.
const CPU_PART: u32 = 4;
/// A thread that uses less than this part of a CPU between two looks, at both
/// of which it was blocked, was so in between.
const BLOCKED_PART: u32 = 4;
/// Where the kernel does not say what a thread does, it is called stuck after
/// so many budgets without a CPU: others may have had it all.
const UNKNOWN_PART: u32 = 5;

/// What was seen of a thread in one poll. Times are by how long that has
/// lasted, and by what its thread has used of a CPU in it.
#[derive(Debug, Default)]
pub(super) struct Sight {
    last: Option<Glance>,
    /// When it was last known to have used a CPU.
    moved: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Glance {
    is_blocked: bool,
    lasted: Duration,
    used: Duration,
}

/// What is made of it.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Whether others are to go on without it: to be wrong costs little.
    pub(super) may_be_stuck: bool,
    /// Whether it computes at this moment, and has for a while.
    pub(super) is_computing: bool,
    /// What makes it a stall, if it is one.
    pub(super) stuck_in: Option<StallCause>,
}

impl Sight {
    /// Looks at a thread.
    pub(super) fn look(
        &mut self,
        tid: i32,
        (lasted, used): (Duration, Duration),
        budget: Duration,
    ) -> Judged {
        self.judge(&state_of(tid), (lasted, used), budget)
    }

    fn judge(
        &mut self,
        state: &ThreadState,
        (lasted, used): (Duration, Duration),
        budget: Duration,
    ) -> Judged {
        let is_blocked = matches!(state, ThreadState::Blocked(_));
        let glance = Glance {
            is_blocked,
            lasted,
            used,
        };
        let last = self.last.replace(glance);
        if used > last.map_or(Duration::ZERO, |last| last.used) {
            self.moved = lasted;
        }
        let has_computed = Judged {
            may_be_stuck: used >= lasted.min(budget) / CPU_PART,
            is_computing: used * 2 >= budget,
            stuck_in: (used >= budget).then_some(StallCause::Computing),
        };
        match state {
            ThreadState::Running => has_computed,
            ThreadState::Blocked(wait) => {
                // One that is found blocked once may have been for a moment,
                // of a poll that mostly waits for a CPU.
                let has_been = last.is_some_and(|last| {
                    let moved = used.saturating_sub(last.used);
                    last.is_blocked && moved <= (lasted - last.lasted) / BLOCKED_PART
                });
                let call = wait.as_ref().ok().and_then(|wait| wait.syscall);
                Judged {
                    may_be_stuck: true,
                    is_computing: false,
                    stuck_in: has_been.then_some(StallCause::Blocked(call)),
                }
            }
            ThreadState::Unknown(_) if lasted == self.moved => has_computed,
            ThreadState::Unknown(_) => {
                let idle = lasted - self.moved;
                Judged {
                    may_be_stuck: idle >= budget / 2,
                    is_computing: false,
                    stuck_in: (idle >= budget * UNKNOWN_PART).then_some(StallCause::NotRunning),
                }
            }
            ThreadState::Stopped | ThreadState::Gone => Judged::default(),
        }
    }
}
