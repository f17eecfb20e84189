//! The future that a thread blocks on, for whoever asks who else may wake it.
//!
//! It is asked from other threads, so what they read must be of one moment:
//! between two polls, and not woken since. A thread says that it polls before
//! it takes note of having been woken, and the wake comes before the waker
//! goes. So an asker who counts the wakers first, and then finds that the
//! thread was neither woken nor has polled since, has counted them all.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// What the innermost `block_on` of a thread waits with.
struct Current {
    main: Arc<Main>,
    waker: Waker,
}

/// Who is woken for a future that a thread blocks on.
pub(crate) trait Sleeper: Wake + Send + Sync + 'static {
    /// Whether it was woken and has not taken note of that. With an acquire.
    fn is_woken(&self) -> bool;
}

/// A future that a thread blocks on.
pub(crate) struct Main {
    /// Counts the wakers, and is none of them.
    sleeper: Weak<dyn IsWoken>,
    /// Odd while the future is polled.
    polls: AtomicU64,
}

/// [`Sleeper`], as far as it can be an object.
trait IsWoken: Send + Sync {
    fn is_woken(&self) -> bool;
}

impl<S: Sleeper> IsWoken for S {
    fn is_woken(&self) -> bool {
        Sleeper::is_woken(self)
    }
}

/// References to a sleeper that are no use of its wakers: its owner's, the
/// entered one's, and the thread's own.
const KEPT: usize = 3;

/// This thread blocks on a future until this is dropped.
pub(crate) struct Entered {
    main: Arc<Main>,
    waker: Waker,
    outer: Option<Current>,
}

/// This thread blocks on a future that is woken through `sleeper`, of which the
/// caller has one reference.
pub(crate) fn enter<S: Sleeper>(sleeper: &Arc<S>) -> Entered {
    let sleeper = Arc::clone(sleeper);
    let weak: Weak<S> = Arc::downgrade(&sleeper);
    let main = Arc::new(Main {
        sleeper: weak,
        polls: AtomicU64::new(0),
    });
    let waker = Waker::from(sleeper);
    let current = Current {
        main: Arc::clone(&main),
        waker: waker.clone(),
    };
    // A thread that is being torn down is asked nothing.
    let outer = CURRENT
        .try_with(|cell| cell.replace(Some(current)))
        .ok()
        .flatten();
    Entered { main, waker, outer }
}

/// The future of this thread whose waker `waker` is.
pub(crate) fn of(waker: &Waker) -> Option<Arc<Main>> {
    let found = CURRENT.try_with(|cell| {
        let current = cell.borrow();
        let current = current.as_ref()?;
        current
            .waker
            .will_wake(waker)
            .then(|| Arc::clone(&current.main))
    });
    found.ok().flatten()
}

impl Entered {
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// The future is polled until the result is dropped. To be called before
    /// the sleeper takes note of having been woken.
    ///
    /// # Cost
    /// A relaxed store here, and one with a release at the end.
    pub(crate) fn polling(&self) -> Polling<'_> {
        // Relaxed: the sleeper's release, as it takes note of the wake,
        // publishes it; this thread alone writes it.
        let polls = self.main.polls.load(Ordering::Relaxed);
        self.main.polls.store(polls + 1, Ordering::Relaxed);
        Polling(&self.main)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let inner = CURRENT.try_with(|cell| cell.replace(outer));
        // After the borrow: it may be the last reference to a waker.
        drop(inner);
    }
}

pub(crate) struct Polling<'a>(&'a Main);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let polls = self.0.polls.load(Ordering::Relaxed);
        // Release: pairs with the acquire in `wakers`, so that whoever finds it
        // idle sees the wakers that the poll has given out.
        self.0.polls.store(polls + 1, Ordering::Release);
    }
}

impl Main {
    /// How many wakers of it there are; `None` while it is polled, or about to
    /// be.
    pub(crate) fn wakers(&self) -> Option<usize> {
        let before = self.polls.load(Ordering::Acquire);
        if before % 2 == 1 {
            return None;
        }
        let sleeper = self.sleeper.upgrade()?;
        // Our own reference is one more.
        let wakers = Arc::strong_count(&sleeper).checked_sub(KEPT + 1)?;
        // Acquire: pairs with the release with which a reference goes. Whoever
        // woke it did so before.
        fence(Ordering::Acquire);
        let is_idle = !sleeper.is_woken() && self.polls.load(Ordering::Relaxed) == before;
        is_idle.then_some(wakers)
    }
}

impl std::fmt::Debug for Main {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Main")
            .field("polls", &self.polls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use super::{Sleeper, enter, of};

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }

    impl Sleeper for Flag {
        fn is_woken(&self) -> bool {
            self.0.load(Ordering::Acquire)
        }
    }

    #[test]
    fn wakers_are_counted_between_polls() {
        let sleeper = Arc::new(Flag::default());
        let entered = enter(&sleeper);
        let main = of(entered.waker()).expect("this thread blocks on it");
        assert!(of(Waker::noop()).is_none());
        assert_eq!(main.wakers(), Some(0));
        let waker = {
            let _polling = entered.polling();
            assert_eq!(main.wakers(), None);
            entered.waker().clone()
        };
        assert_eq!(main.wakers(), Some(1));
        let other = waker.clone();
        assert_eq!(main.wakers(), Some(2));
        drop(other);
        waker.wake();
        // About to be polled.
        assert_eq!(main.wakers(), None);
        sleeper.0.store(false, Ordering::Release);
        assert_eq!(main.wakers(), Some(0));
        {
            let inner_sleeper = Arc::new(Flag::default());
            let inner = enter(&inner_sleeper);
            assert!(of(entered.waker()).is_none());
            assert!(of(inner.waker()).is_some());
        }
        assert!(of(entered.waker()).is_some());
        drop(entered);
        assert_eq!(main.wakers(), None);
    }
}
