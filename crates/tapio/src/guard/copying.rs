//! How the stack of one thread is come by, from look to look.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::copier::Order;
use super::entry::Entry;
use super::reporter;
use crate::capture::{NoStack, RawStack, Request, copy_blocked};
use crate::post::Seen;
use crate::report::StallCause;
use crate::thread_state::{ThreadState, Wait, cpu_time, state_of};

/// A thread that was asked answers at the next tick that finds it on a CPU,
/// which comes every 1 to 10 ms. It is waited for longer, while threads are
/// kept from CPUs; and not for ever, since some compute in the kernel.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same by what the thread has used of a CPU: a few ticks.
const PATIENCE_CPU: Duration = Duration::from_millis(40);
/// A copy that was made longer ago says nothing of what goes on.
const AGE_MAX: Duration = Duration::from_millis(20);

/// What is done to have the stack of a thread in one poll.
pub(super) struct Copying {
    entry: Arc<Entry>,
    seen: Seen,
    request: Option<Request>,
    /// Copied while the thread computed, and when that was found.
    copied: Option<(RawStack, Instant)>,
    /// What the thread did at the last look.
    last: Option<Last>,
    order: Option<Ordered>,
    begun: Instant,
}

/// A stack and what the thread was found to do.
#[derive(Debug)]
pub(super) struct Copied {
    pub(super) raw: RawStack,
    /// `None` of one that computes.
    pub(super) wait: Option<Wait>,
}

#[derive(Debug)]
struct Ordered {
    order: Order,
    at: Instant,
    /// What the thread had used of a CPU then.
    used: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Computes,
    Waits(Wait),
}

impl Copying {
    /// Of a poll that nothing is to be told of yet.
    pub(super) fn ahead(entry: Arc<Entry>, seen: Seen) -> Copying {
        Copying {
            entry,
            seen,
            request: None,
            copied: None,
            last: None,
            order: None,
            begun: Instant::now(),
        }
    }

    pub(super) fn is_of(&self, entry: &Arc<Entry>, seen: Seen) -> bool {
        Arc::ptr_eq(&self.entry, entry) && self.seen == seen
    }

    /// Of the stall that is to be told of.
    pub(super) fn number(&self) -> Option<u64> {
        self.order.as_ref().map(|ordered| ordered.order.number)
    }

    /// The stack is wanted from now on.
    pub(super) fn order(&mut self, order: Order) {
        if self.order.is_some() {
            // It was not to be had in all the time until the next order.
            self.tell(Err(NoStack::TimedOut));
        }
        self.order = Some(Ordered {
            order,
            at: Instant::now(),
            used: self.used(),
        });
    }

    /// Looks at the thread; returns whether this is done.
    pub(super) fn look(&mut self) -> bool {
        let outcome = self.copy();
        if self.entry.post.look() != self.seen {
            // What was copied just now may be of what came next.
            self.end();
            return true;
        }
        let Some(ordered) = &self.order else {
            if let Ok(Some(copied)) = outcome {
                self.copied = Some((copied.raw, Instant::now()));
            }
            return self.begun.elapsed() > AGE_MAX;
        };
        let is_impatient = ordered.at.elapsed() >= PATIENCE
            || self.used().saturating_sub(ordered.used) >= PATIENCE_CPU;
        let outcome = match outcome {
            Ok(Some(copied)) => Ok(copied),
            Ok(None) if is_impatient => Err(NoStack::TimedOut),
            Err(why) if is_impatient || !why.may_pass() => Err(why),
            Ok(None) | Err(_) => return false,
        };
        self.tell(outcome);
        true
    }

    /// Nothing more is to be had: tells what there is.
    pub(super) fn end(&mut self) {
        let raw = self.fresh();
        self.tell(
            raw.map(|raw| Copied { raw, wait: None })
                .ok_or(NoStack::Over),
        );
    }

    fn tell(&mut self, copied: Result<Copied, NoStack>) {
        if let Some(Ordered { order, .. }) = self.order.take() {
            let (number, is_again) = (order.number, order.is_again);
            let found = order.asked.find(&self.entry, copied);
            reporter::found(number, is_again, found);
        }
    }

    fn used(&self) -> Duration {
        cpu_time(self.entry.target.tid()).unwrap_or_default()
    }

    /// The stack, once it is there and fits what the thread was found to do.
    fn copy(&mut self) -> Result<Option<Copied>, NoStack> {
        let cause = self.order.as_ref().map(|it| &it.order.asked.cause);
        let is_computing = matches!(cause, None | Some(StallCause::Computing));
        let last = self.last.take();
        if cause.is_none() && self.copied.is_some() {
            return Ok(None);
        }
        match state_of(self.entry.target.tid()) {
            ThreadState::Blocked(Ok(wait)) => {
                self.last = Some(Last::Waits(wait));
                // What it copied before it began to wait is of this poll.
                if let Some(request) = self.request.take() {
                    match request.answer() {
                        Ok(copied) => {
                            return Ok(Some(Copied {
                                raw: copied?,
                                wait: None,
                            }));
                        }
                        Err(not_yet) => self.request = Some(not_yet),
                    }
                }
                // One that computes may wait for a moment.
                if is_computing && (last != self.last || cause.is_none()) {
                    return Ok(None);
                }
                let raw = copy_blocked(&self.entry.target, &wait)?;
                let wait = Some(wait);
                Ok(Some(Copied { raw, wait }))
            }
            ThreadState::Running => {
                self.last = Some(Last::Computes);
                // One that waits may compute for a moment.
                if !is_computing && last != self.last {
                    return Ok(None);
                }
                self.ask()
            }
            ThreadState::Blocked(Err(_)) if cause.is_none() => Ok(None),
            ThreadState::Blocked(Err(error)) => Err(NoStack::Unknown(error)),
            ThreadState::Unknown(_) if is_computing => self.ask(),
            ThreadState::Unknown(error) => Err(NoStack::Unknown(error)),
            ThreadState::Stopped | ThreadState::Gone => Ok(None),
        }
    }

    /// The copy of a thread that computes, once it is there; asks for one, if
    /// that was not done.
    fn ask(&mut self) -> Result<Option<Copied>, NoStack> {
        let raw = match self.fresh() {
            Some(raw) => raw,
            None => {
                let request = match self.request.take() {
                    Some(request) => request,
                    None => Request::new(&self.entry.target, self.entry.settings.signal)?,
                };
                match request.answer() {
                    Ok(copied) => copied?,
                    Err(not_yet) => {
                        self.request = Some(not_yet);
                        return Ok(None);
                    }
                }
            }
        };
        Ok(Some(Copied { raw, wait: None }))
    }

    fn fresh(&mut self) -> Option<RawStack> {
        let (raw, at) = self.copied.take()?;
        (at.elapsed() <= AGE_MAX).then_some(raw)
    }
}
