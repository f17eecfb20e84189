//! The state of a task: one word, and every way it may change.
//!
//! ```text
//!            start_poll                     end_poll
//! NOTIFIED ------------> RUNNING (CANCELLED?) -------> idle, or NOTIFIED again
//!    ^                      |
//!    | wake / abort         | complete
//!   idle                    v
//!                        COMPLETE: final
//! ```
//!
//! The bits:
//! - `RUNNING`: one thread has the right to touch the future. Set by
//!   `start_poll` or `start_shutdown` only, so there is one at a time.
//! - `COMPLETE`: the future is gone and the output, if anybody may want it, is
//!   in its place. Never unset.
//! - `NOTIFIED`: a [`Notified`](super::Notified) exists for the task (in some
//!   queue), or will be made by `end_poll` because the task is running.
//! - `CANCELLED`: the next thread with the right to run drops the future.
//! - `JOIN_INTEREST`: a join handle exists. While it is set and `COMPLETE` is
//!   set, the handle owns the output.
//! - `JOIN_WAKER`: the join waker field is filled, and belongs to the
//!   completing thread, for good once `COMPLETE` is set; while unset it
//!   belongs to the join handle.
//!
//! Above the bits: the number of references. The references that exist at the
//! start are the owner list's, the first `Notified`'s and the join handle's.

use std::fmt;

use super::waker::Wakers;
use crate::sync_facade::{AtomicUsize, Ordering};

const RUNNING: usize = 1;
const COMPLETE: usize = 1 << 1;
const NOTIFIED: usize = 1 << 2;
const CANCELLED: usize = 1 << 3;
const JOIN_INTEREST: usize = 1 << 4;
const JOIN_WAKER: usize = 1 << 5;
const REF: usize = 1 << 6;
const IDLE_MASK: usize = RUNNING | COMPLETE;

pub(super) struct State(AtomicUsize);

/// What a thread that holds a `Notified` may do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StartPoll {
    /// Poll the future.
    Poll,
    /// Drop the future: the task was aborted.
    Cancel,
    /// Nothing: it runs elsewhere or is complete. The reference was dropped.
    Nothing,
    /// As `Nothing`, and that reference was the last.
    Dealloc,
}

/// What follows a poll that returned `Pending`.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EndPoll {
    /// It waits. The reference was dropped.
    Idle,
    /// It was woken meanwhile: the reference is a `Notified` again.
    Again,
    /// It was aborted meanwhile: still running, drop the future.
    Cancel,
    /// It waits, and nobody is left to wake it: free it.
    Dealloc,
}

/// What a waker does.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Nothing more.
    Nothing,
    /// Schedule a new `Notified`; its reference is counted already.
    Schedule,
    /// The consumed reference was the last: free it.
    Dealloc,
}

/// Who drops what when a join handle is dropped.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HandleDropped {
    pub(super) drop_output: bool,
    pub(super) drop_waker: bool,
}

/// Whom to tell of completion.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Completed {
    /// No handle: drop the output.
    DropOutput,
    /// A handle without a waker: it will look.
    Nobody,
    /// A handle with a waker, which is the caller's to take.
    WakeHandle,
}

impl State {
    pub(super) fn new(references: usize) -> State {
        State(AtomicUsize::new(
            (references * REF) | NOTIFIED | JOIN_INTEREST,
        ))
    }

    #[inline]
    pub(super) fn start_poll(&self) -> StartPoll {
        self.update(|state| {
            debug_assert!(state & NOTIFIED != 0);
            if state & IDLE_MASK != 0 {
                // A shutdown took it from under its notification.
                let next = state - REF;
                let last = next < REF;
                return (
                    Some(next),
                    if last {
                        StartPoll::Dealloc
                    } else {
                        StartPoll::Nothing
                    },
                );
            }
            let outcome = if state & CANCELLED != 0 {
                StartPoll::Cancel
            } else {
                StartPoll::Poll
            };
            (Some(state & !NOTIFIED | RUNNING), outcome)
        })
    }

    #[inline]
    pub(super) fn end_poll(&self) -> EndPoll {
        self.update(|state| {
            debug_assert!(state & RUNNING != 0);
            if state & CANCELLED != 0 {
                return (None, EndPoll::Cancel);
            }
            let next = state & !RUNNING;
            if state & NOTIFIED != 0 {
                return (Some(next), EndPoll::Again);
            }
            let next = next - REF;
            let last = next < REF;
            (
                Some(next),
                if last {
                    EndPoll::Dealloc
                } else {
                    EndPoll::Idle
                },
            )
        })
    }

    /// The future is done with and its output is stored.
    #[inline]
    pub(super) fn complete(&self) -> Completed {
        // AcqRel: releases the output to whoever reads COMPLETE with acquire
        // (`poll_join`, `set_join_waker`); acquires the join waker released by
        // `set_join_waker`.
        let before = self.0.fetch_xor(RUNNING | COMPLETE, Ordering::AcqRel);
        debug_assert!(before & RUNNING != 0 && before & COMPLETE == 0);
        if before & JOIN_INTEREST == 0 {
            Completed::DropOutput
        } else if before & JOIN_WAKER == 0 {
            Completed::Nobody
        } else {
            Completed::WakeHandle
        }
    }

    /// A waker that is kept.
    #[inline]
    pub(super) fn wake_by_ref(&self) -> Wake {
        self.update(|state| {
            if state & COMPLETE != 0 {
                (None, Wake::Nothing)
            } else if state & (RUNNING | NOTIFIED) != 0 {
                // Stored even when nothing changes: what the waker published
                // must be seen by the poll that the notification brings.
                (Some(state | NOTIFIED), Wake::Nothing)
            } else {
                (Some((state | NOTIFIED) + REF), Wake::Schedule)
            }
        })
    }

    /// A waker that is consumed with its reference.
    #[inline]
    pub(super) fn wake_by_value(&self) -> Wake {
        self.update(|state| {
            if state & (RUNNING | NOTIFIED | COMPLETE) == 0 {
                // The waker's reference becomes the notification's.
                return (Some(state | NOTIFIED), Wake::Schedule);
            }
            let notified = if state & COMPLETE != 0 { 0 } else { NOTIFIED };
            let next = (state | notified) - REF;
            let last = next < REF;
            (Some(next), if last { Wake::Dealloc } else { Wake::Nothing })
        })
    }

    /// Who holds references to an idle task beside its owner list, its join
    /// handle and `known` wakers.
    pub(super) fn other_wakers(&self, known: usize) -> Wakers {
        // Acquire: pairs with the release in `end_poll`, so that whoever finds
        // a task idle sees all that its last poll did.
        let state = self.0.load(Ordering::Acquire);
        if state & (RUNNING | NOTIFIED | COMPLETE | CANCELLED) != 0 {
            return Wakers::Busy;
        }
        let handle = usize::from(state & JOIN_INTEREST != 0);
        if state / REF <= 1 + handle + known {
            Wakers::None
        } else {
            Wakers::Others
        }
    }

    /// Asks for the task's end. Says whether a new `Notified`, whose reference
    /// is counted already, must be scheduled to bring it about.
    #[must_use]
    pub(super) fn abort(&self) -> bool {
        self.update(|state| {
            if state & (CANCELLED | COMPLETE) != 0 {
                (None, false)
            } else if state & (RUNNING | NOTIFIED) != 0 {
                (Some(state | NOTIFIED | CANCELLED), false)
            } else {
                (Some((state | NOTIFIED | CANCELLED) + REF), true)
            }
        })
    }

    /// The runtime ends. Says whether the caller now has the right to run, and
    /// with it the duty to drop the future.
    #[must_use]
    pub(super) fn start_shutdown(&self) -> bool {
        self.update(|state| {
            let idle = state & IDLE_MASK == 0;
            let running = if idle { RUNNING } else { 0 };
            (Some(state | CANCELLED | running), idle)
        })
    }

    /// The handle goes away before anything else happened to the task.
    #[inline]
    #[must_use]
    pub(super) fn drop_fresh_handle(&self) -> bool {
        let fresh = (3 * REF) | NOTIFIED | JOIN_INTEREST;
        // Release: the handle's creation is published to whoever frees the
        // task, as every dropped reference is.
        self.0
            .compare_exchange(
                fresh,
                (2 * REF) | NOTIFIED,
                Ordering::Release,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    #[inline]
    pub(super) fn drop_handle(&self) -> HandleDropped {
        self.update(|state| {
            debug_assert!(state & JOIN_INTEREST != 0);
            if state & COMPLETE == 0 {
                // The waker's field comes back to us, whether filled or not.
                let next = state & !(JOIN_INTEREST | JOIN_WAKER);
                let outcome = HandleDropped {
                    drop_output: false,
                    drop_waker: true,
                };
                return (Some(next), outcome);
            }
            let outcome = HandleDropped {
                drop_output: true,
                // While set, it is the completing thread's.
                drop_waker: state & JOIN_WAKER == 0,
            };
            (Some(state & !JOIN_INTEREST), outcome)
        })
    }

    /// Hands the filled join waker to the task; `false` when it is complete.
    #[inline]
    #[must_use]
    pub(super) fn set_join_waker(&self) -> bool {
        self.update(|state| {
            debug_assert!(state & JOIN_INTEREST != 0 && state & JOIN_WAKER == 0);
            if state & COMPLETE != 0 {
                (None, false)
            } else {
                (Some(state | JOIN_WAKER), true)
            }
        })
    }

    /// Takes the join waker's field back to change it; `false` when complete.
    #[must_use]
    pub(super) fn take_join_waker(&self) -> bool {
        self.update(|state| {
            debug_assert!(state & JOIN_INTEREST != 0);
            if state & COMPLETE != 0 {
                (None, false)
            } else {
                (Some(state & !JOIN_WAKER), true)
            }
        })
    }

    /// Whether it is complete, and whether a join waker is there.
    #[inline]
    pub(super) fn join_view(&self) -> (bool, bool) {
        // Acquire pairs with the release in `complete`: the output is there.
        let state = self.0.load(Ordering::Acquire);
        (state & COMPLETE != 0, state & JOIN_WAKER != 0)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.join_view().0
    }

    /// Whether it was told to end before it did.
    pub(super) fn is_aborted(&self) -> bool {
        // Relaxed: asked once it is complete, when the bit does not change
        // any more, by whoever may look at the output, and so has acquired it.
        self.0.load(Ordering::Relaxed) & CANCELLED != 0
    }

    #[inline]
    pub(super) fn add_reference(&self) {
        // Relaxed: a new reference comes from one that the caller holds.
        let before = self.0.fetch_add(REF, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "task reference count overflow");
    }

    /// Drops `count` references. Says whether they were the last.
    #[inline]
    #[must_use]
    pub(super) fn drop_references(&self, count: usize) -> bool {
        // AcqRel: every use through a dropped reference happens before the
        // deallocation by whoever drops the last.
        let before = self.0.fetch_sub(count * REF, Ordering::AcqRel);
        debug_assert!(before / REF >= count);
        before / REF == count
    }

    #[inline]
    fn update<T>(&self, mut change: impl FnMut(usize) -> (Option<usize>, T)) -> T {
        // AcqRel on success: each change publishes what its thread did to the
        // task and takes over what the previous holder did. Acquire on the
        // paths that change nothing, which still read COMPLETE.
        let mut state = self.0.load(Ordering::Acquire);
        loop {
            let (next, outcome) = change(state);
            let Some(next) = next else { return outcome };
            match self
                .0
                .compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return outcome,
                Err(now) => state = now,
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.load(Ordering::Relaxed);
        f.debug_struct("State")
            .field("is_running", &(state & RUNNING != 0))
            .field("is_complete", &(state & COMPLETE != 0))
            .field("is_notified", &(state & NOTIFIED != 0))
            .field("is_cancelled", &(state & CANCELLED != 0))
            .field("has_join_interest", &(state & JOIN_INTEREST != 0))
            .field("references", &(state / REF))
            .finish()
    }
}
