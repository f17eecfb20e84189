//! Functions of the user's that are told of a result.
//!
//! A callback runs on whatever thread brings the result: there is no other
//! that is sure to be there. Its panic ends here and is reported. Callbacks
//! that give rise to callbacks run one after the other, not inside of one
//! another: a chain of a million promises needs no more stack than one.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tapio_driver::lock::Mutex;

use crate::context;
use crate::coop;
use crate::report::{CallbackPanic, Report};

/// Who is called back, as reports name them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The function that took the callback.
    pub(crate) called_by: &'static str,
    pub(crate) given_at: &'static Location<'static>,
    /// The task whose result it is; zero for no task.
    pub(crate) task: u64,
}

/// Calls `callback` with what `future` gives, as soon as it does: at once, on
/// this thread, if it is ready.
pub(crate) fn when_ready<F, C>(future: F, callback: C, origin: Origin)
where
    F: Future + Send + Unpin + 'static,
    C: FnOnce(F::Output) + Send + 'static,
{
    let waiting = Waiting {
        turn: AtomicU8::new(IDLE),
        parts: Mutex::new(Some((future, callback))),
        origin,
    };
    Arc::new(waiting).look();
}

/// Nobody polls the future.
const IDLE: u8 = 0;
/// Somebody does.
const POLLING: u8 = 1;
/// Somebody does, and must do so again, since it was woken meanwhile. Also
/// what is left when it is done.
const WOKEN: u8 = 2;

/// A future that nobody waits for but a callback. Its waker is itself.
struct Waiting<F, C> {
    /// Whose turn it is to poll.
    turn: AtomicU8,
    /// Touched by whoever polls, and so never contended.
    parts: Mutex<Option<(F, C)>>,
    origin: Origin,
}

impl<F, C> Waiting<F, C>
where
    F: Future + Send + Unpin + 'static,
    C: FnOnce(F::Output) + Send + 'static,
{
    /// Polls the future, unless somebody else is about to.
    fn look(self: &Arc<Self>) {
        // AcqRel: acquires what the last poll left behind, from the release
        // below, and what the waker's caller did.
        if self.turn.swap(WOKEN, Ordering::AcqRel) != IDLE {
            return;
        }
        let waker = Waker::from(Arc::clone(self));
        let mut cx = Context::from_waker(&waker);
        loop {
            // Acquire pairs with the swap above, of a waker that found us
            // polling.
            self.turn.swap(POLLING, Ordering::Acquire);
            let mut parts = self.parts.lock();
            let Some((future, _)) = parts.as_mut() else {
                return;
            };
            let polled = coop::with_unlimited(|| Pin::new(future).poll(&mut cx));
            if let Poll::Ready(output) = polled {
                // Later wakes find that it is nobody's turn any more.
                self.turn.store(WOKEN, Ordering::Relaxed);
                let done = parts.take();
                drop(parts);
                if let Some((future, callback)) = done {
                    drop(future);
                    call(self.origin, move || callback(output));
                }
                return;
            }
            drop(parts);
            let idle = self.turn.compare_exchange(
                POLLING,
                IDLE,
                // Release pairs with the swap of the next to poll.
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            if idle.is_ok() {
                return;
            }
        }
    }
}

impl<F, C> Wake for Waiting<F, C>
where
    F: Future + Send + Unpin + 'static,
    C: FnOnce(F::Output) + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        self.look();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.look();
    }
}

type Call = Box<dyn FnOnce()>;

thread_local! {
    /// What waits for the callback that this thread runs; `None` when it runs
    /// none.
    static WAITING: RefCell<Option<VecDeque<Call>>> = const { RefCell::new(None) };
}

/// Calls `f` now, or after the callback that this thread is in.
fn call(origin: Origin, f: impl FnOnce() + 'static) {
    let mut f = Some(f);
    let is_queued = WAITING.try_with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        if let Some(queue) = waiting.as_mut() {
            let f = f.take().expect("taken once");
            queue.push_back(Box::new(move || contained(origin, f)));
            return true;
        }
        *waiting = Some(VecDeque::new());
        false
    });
    if is_queued == Ok(true) {
        return;
    }
    if let Some(f) = f {
        contained(origin, f);
    }
    while let Some(next) = next_call() {
        next();
    }
}

/// What waits longest; with nothing left, this thread runs callbacks no more.
fn next_call() -> Option<Call> {
    let next = WAITING.try_with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        let next = waiting.as_mut().and_then(VecDeque::pop_front);
        if next.is_none() {
            *waiting = None;
        }
        next
    });
    // A thread that is being torn down has no queue: it calls at once.
    next.ok().flatten()
}

/// Runs a callback as what it is: code of the place where it was given, which
/// nobody waits for.
fn contained(origin: Origin, f: impl FnOnce()) {
    let _running = context::enter_callback(origin.task, origin.given_at);
    let called = catch_unwind(AssertUnwindSafe(|| coop::with_unlimited(f)));
    if let Err(payload) = called {
        panicked(origin, payload);
    }
}

/// A function that the user has called along a thread's way. Its panic ends
/// here and is reported: the thread is needed.
pub(crate) fn hook(
    called_by: &'static str,
    given_at: &'static Location<'static>,
    hook: impl Fn() + Send + Sync + 'static,
) -> Arc<dyn Fn() + Send + Sync> {
    let origin = Origin {
        called_by,
        given_at,
        task: 0,
    };
    Arc::new(move || {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(&hook)) {
            panicked(origin, payload);
        }
    })
}

#[cold]
fn panicked(origin: Origin, payload: Box<dyn Any + Send>) {
    let panic = CallbackPanic::new(origin.called_by, origin.given_at, &*payload);
    Report::CallbackPanic(panic).deliver();
    // A payload may panic when it is dropped, and that is no one's either.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
}
