//! One request between the guard and the thread that it asks, and whose the
//! memory for the answer is.
//!
//! ```text
//!          request            claim              done
//!  FREE ------------> ASKED ----------> COPYING ------> DONE
//!   ^     (guard)       |   (handler)         (handler)   |
//!   +------ give_up ----+                                 |
//!   +----------------------- collect ---------------------+
//! ```
//! All edges but those of the handler are walked by one thread at a time, to
//! which the exchange was given (`slots`). The memory is the handler's while COPYING and
//! the guard's while DONE; in between nobody touches it. A handler that the
//! guard no longer waits for leaves DONE behind, which the next request takes
//! like FREE.

#![expect(unsafe_code, reason = "memory that a signal handler writes")]

use crate::sync_facade::{AtomicUsize, Ordering, UnsafeCell};

const FREE: usize = 0;
const ASKED: usize = 1;
const COPYING: usize = 2;
const DONE: usize = 3;
const PHASE_MASK: usize = 3;
/// Above the phase: the number of the request, so that no handler takes one
/// request for the next.
const STEP: usize = 4;

/// See the module. `T` is the memory for the answer.
pub(super) struct Exchange<T> {
    word: AtomicUsize,
    /// Whose stack is asked for, and where it is: written before ASKED.
    tid: AtomicUsize,
    stack_low: AtomicUsize,
    stack_high: AtomicUsize,
    answer: UnsafeCell<T>,
}

// SAFETY: `answer` is used by the one side that `word` names.
unsafe impl<T: Send> Sync for Exchange<T> {}

/// What giving up came to.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// No handler will write any more.
    InTime,
    /// A handler writes, or has written.
    TooLate,
}

/// The right to write the answer; a handler has it.
pub(super) struct Claim<'a, T> {
    exchange: &'a Exchange<T>,
    number: usize,
}

impl<T> Exchange<T> {
    pub(super) fn new(answer: T) -> Exchange<T> {
        Exchange {
            word: AtomicUsize::new(FREE),
            tid: AtomicUsize::new(0),
            stack_low: AtomicUsize::new(0),
            stack_high: AtomicUsize::new(0),
            answer: UnsafeCell::new(answer),
        }
    }

    /// Asks for the stack of a thread. False while a handler is still at work
    /// on a request that was given up.
    pub(super) fn request(&self, tid: i32, stack: (usize, usize)) -> bool {
        // Acquire: pairs with `done`, should a late answer be thrown away.
        let word = self.word.load(Ordering::Acquire);
        debug_assert_ne!(word & PHASE_MASK, ASKED, "one request at a time");
        if word & PHASE_MASK == COPYING {
            return false;
        }
        // Relaxed: the store below publishes them. Nobody reads them before,
        // or who does finds that the word has changed.
        self.tid.store(tid as usize, Ordering::Relaxed);
        self.stack_low.store(stack.0, Ordering::Relaxed);
        self.stack_high.store(stack.1, Ordering::Relaxed);
        let number = (word & !PHASE_MASK).wrapping_add(STEP);
        // Release: pairs with the load in `claim`.
        self.word.store(number | ASKED, Ordering::Release);
        true
    }

    /// Called by a handler: whether thread `tid` is asked, and the bounds of
    /// its stack.
    pub(super) fn claim(&self, tid: i32) -> Option<(Claim<'_, T>, (usize, usize))> {
        // Acquire: pairs with the store in `request`.
        let word = self.word.load(Ordering::Acquire);
        if word & PHASE_MASK != ASKED || self.tid.load(Ordering::Relaxed) != tid as usize {
            return None;
        }
        let low = self.stack_low.load(Ordering::Relaxed);
        let high = self.stack_high.load(Ordering::Relaxed);
        let number = word & !PHASE_MASK;
        // It still is the request whose fields were read, or this fails.
        // Acquire: pairs with the release in `give_up` and `collect` by way of
        // `request`, so that no reader is left at the memory.
        self.word
            .compare_exchange(word, number | COPYING, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        let claim = Claim {
            exchange: self,
            number,
        };
        Some((claim, (low, high)))
    }

    pub(super) fn is_done(&self) -> bool {
        // Acquire: pairs with `done`.
        self.word.load(Ordering::Acquire) & PHASE_MASK == DONE
    }

    /// The guard waits no longer.
    pub(super) fn give_up(&self) -> GivenUp {
        // Relaxed, both: nothing was handed over, or `is_done` acquires it.
        let word = self.word.load(Ordering::Relaxed);
        if word & PHASE_MASK != ASKED {
            return GivenUp::TooLate;
        }
        let free = word & !PHASE_MASK | FREE;
        let given_up = self
            .word
            .compare_exchange(word, free, Ordering::Relaxed, Ordering::Relaxed);
        match given_up {
            Ok(_) => GivenUp::InTime,
            Err(_) => GivenUp::TooLate,
        }
    }

    /// Reads the answer, which must be there, and lets go of the memory.
    pub(super) fn collect<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        // Acquire: pairs with `done`.
        let word = self.word.load(Ordering::Acquire);
        assert_eq!(word & PHASE_MASK, DONE, "nothing to collect");
        // SAFETY: DONE: the handler that wrote it has let go of it, others
        // find nothing asked, and readers are one at a time.
        let answer = read(unsafe { &*self.answer.get() });
        // Release: pairs with `claim` by way of the next `request`.
        self.word
            .store(word & !PHASE_MASK | FREE, Ordering::Release);
        answer
    }
}

impl<T> Claim<'_, T> {
    /// Writes the answer; from then on it is the guard's.
    pub(super) fn done(self, write: impl FnOnce(&mut T)) {
        // SAFETY: COPYING: this claim is the only one, and the guard stays
        // away until the store below.
        write(unsafe { &mut *self.exchange.answer.get() });
        let word = &self.exchange.word;
        // Release: pairs with the loads in `is_done`, `collect`, `request`.
        word.store(self.number | DONE, Ordering::Release);
    }
}

#[cfg(all(test, not(tapio_model)))]
mod tests {
    use super::{Exchange, GivenUp};

    #[test]
    fn a_handler_writes_for_the_thread_that_was_asked_and_once() {
        let exchange = Exchange::new(0);
        assert!(exchange.claim(7).is_none(), "nothing was asked");
        assert!(exchange.request(7, (1, 2)));
        assert!(exchange.claim(8).is_none(), "another thread was asked");
        let (claim, stack) = exchange.claim(7).expect("it was asked");
        assert_eq!(stack, (1, 2));
        assert!(exchange.claim(7).is_none(), "it writes already");
        assert!(!exchange.is_done());
        claim.done(|answer| *answer = 5);
        assert!(exchange.is_done());
        assert_eq!(exchange.collect(|answer| *answer), 5);
        assert!(exchange.claim(7).is_none(), "that is over");
    }

    #[test]
    fn who_comes_late_does_nothing_and_who_is_at_it_keeps_the_memory() {
        let exchange = Exchange::new(0);
        assert!(exchange.request(7, (0, 0)));
        assert_eq!(exchange.give_up(), GivenUp::InTime);
        assert!(exchange.claim(7).is_none());

        assert!(exchange.request(7, (0, 0)));
        let (claim, _) = exchange.claim(7).expect("it was asked");
        assert_eq!(exchange.give_up(), GivenUp::TooLate);
        assert!(!exchange.request(8, (0, 0)), "the memory is in use");
        claim.done(|answer| *answer = 5);
        // Nobody wants that answer; the next request is one of its own.
        assert!(exchange.request(8, (0, 0)));
        assert!(!exchange.is_done());
        assert!(exchange.claim(7).is_none());
        let (claim, _) = exchange.claim(8).expect("it was asked");
        claim.done(|answer| *answer = 6);
        assert_eq!(exchange.collect(|answer| *answer), 6);
    }
}
