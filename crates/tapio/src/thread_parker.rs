//! A thread that waits for a future it polls itself.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread::Thread;

use crate::main_future::{self, Sleeper};
use crate::{context, coop, rounds};

/// Parks the thread that made it; a waker that unparks it.
#[derive(Debug)]
pub(crate) struct ThreadParker {
    thread: Thread,
    is_unparked: AtomicBool,
}

impl ThreadParker {
    pub(crate) fn new() -> ThreadParker {
        ThreadParker {
            thread: std::thread::current(),
            is_unparked: AtomicBool::new(false),
        }
    }

    /// Sleeps until somebody unparks, or did since the last call.
    /// Says whether it slept.
    pub(crate) fn park(&self) -> bool {
        let mut slept = false;
        // Acquire pairs with the release in `unpark`. The thread's own park
        // token may be spent by others, hence the flag and the loop.
        while !self.is_unparked.swap(false, Ordering::Acquire) {
            std::thread::park();
            slept = true;
        }
        slept
    }

    /// Sleeps as `park` does, and leaves it to the caller to take note.
    fn sleep(&self) -> bool {
        let mut slept = false;
        // Acquire pairs with the release in `unpark`.
        while !self.is_unparked.load(Ordering::Acquire) {
            std::thread::park();
            slept = true;
        }
        slept
    }

    pub(crate) fn unpark(&self) {
        // Release: publishes what the waker's caller did.
        if !self.is_unparked.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

impl Wake for ThreadParker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

impl Sleeper for ThreadParker {
    fn is_woken(&self) -> bool {
        self.is_unparked.load(Ordering::Acquire)
    }
}

impl ThreadParker {
    /// Polls `future` on this thread until it is done, sleeping in between.
    pub(crate) fn block_on<F: Future>(future: F, at: &'static Location<'static>) -> F::Output {
        let mut future = std::pin::pin!(future);
        let parker = Arc::new(ThreadParker::new());
        let entered = main_future::enter(&parker);
        let mut cx = std::task::Context::from_waker(entered.waker());
        loop {
            let polling = entered.polling();
            // Acquire pairs with the release in `unpark`; release with the
            // acquire in `is_woken`: whoever does not see the wake any more
            // sees the poll.
            parker.is_unparked.swap(false, Ordering::AcqRel);
            let running = context::enter_blocked_on(at);
            let polled = coop::with_full(|| future.as_mut().poll(&mut cx));
            drop(running);
            drop(polling);
            if let std::task::Poll::Ready(output) = polled {
                return output;
            }
            if parker.sleep() {
                // There may be something to watch again.
                rounds::call();
            }
        }
    }
}
