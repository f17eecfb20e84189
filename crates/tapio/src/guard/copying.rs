//! How the guard comes by the stack of a thread, from look to look.

use std::time::Duration;

use super::entry::Entry;
use crate::capture::{Asked, NoStack, RawStack, copy_blocked};
use crate::report::StallCause;
use crate::thread_state::ThreadState;

/// A thread that was asked answers at the next tick that finds it on a CPU,
/// which comes every 1 to 10 ms. The guard waits for longer, while threads are
/// kept from CPUs; and not for ever, since some compute in the kernel.
const PATIENCE: Duration = Duration::from_millis(200);
/// The same by what the thread has used of a CPU: a few ticks.
const PATIENCE_CPU: Duration = Duration::from_millis(40);
/// A copy that was made longer ago says nothing of what goes on.
const AGE_MAX: Duration = Duration::from_millis(20);

/// What was done to have the stack of a thread in one poll. Times are by how
/// long that has lasted.
#[derive(Debug, Default)]
pub(super) struct Copying {
    asked: Option<Asked>,
    /// Copied while the thread computed, and when that was found.
    copied: Option<(RawStack, Duration)>,
    /// Since when it has been waited for, and what of a CPU had been used then.
    wanted: Option<(Duration, Duration)>,
}

impl Copying {
    /// Asks a thread that computes, so that the copy is there once it is
    /// wanted. What refuses it now will say so then.
    pub(super) fn prepare(&mut self, entry: &Entry, lasted: Duration) {
        if let Ok(Some(copied)) = self.ask(entry, lasted) {
            self.copied = Some((copied, lasted));
        }
    }

    /// The stack of a thread that is stuck for `cause`, in `state`, or why there is none; `None` if that
    /// is to be found out at the next look.
    pub(super) fn take(
        &mut self,
        entry: &Entry,
        cause: &StallCause,
        state: ThreadState,
        (lasted, used): (Duration, Duration),
    ) -> Option<Result<RawStack, NoStack>> {
        let outcome = match (state, cause) {
            (ThreadState::Blocked(Ok(wait)), _) => copy_blocked(&entry.target, &wait).map(Some),
            (ThreadState::Blocked(Err(error)), _)
            | (ThreadState::Unknown(error), StallCause::NotRunning) => Err(NoStack::Unknown(error)),
            _ => self.ask(entry, lasted),
        };
        let (since, used_then) = *self.wanted.get_or_insert((lasted, used));
        let is_impatient =
            lasted - since >= PATIENCE || used.saturating_sub(used_then) >= PATIENCE_CPU;
        let outcome = match outcome {
            Ok(Some(copied)) => Ok(copied),
            Ok(None) if is_impatient => Err(NoStack::TimedOut),
            Err(why) if is_impatient || !why.may_pass() => Err(why),
            Ok(None) | Err(_) => return None,
        };
        *self = Copying::default();
        Some(outcome)
    }

    /// The copy of a thread that computes, once it is there; asks for one, if
    /// that was not done.
    fn ask(&mut self, entry: &Entry, lasted: Duration) -> Result<Option<RawStack>, NoStack> {
        let is_fresh = |(_, then): &(RawStack, Duration)| lasted - *then <= AGE_MAX;
        if let Some((copied, _)) = self.copied.take_if(|copied| is_fresh(copied)) {
            return Ok(Some(copied));
        }
        self.copied = None;
        let asked = match self.asked.take() {
            Some(asked) => asked,
            None => Asked::new(&entry.target, entry.settings.signal)?,
        };
        match asked.answer() {
            Ok(copied) => copied.map(Some),
            Err(not_yet) => {
                self.asked = Some(not_yet);
                Ok(None)
            }
        }
    }
}
