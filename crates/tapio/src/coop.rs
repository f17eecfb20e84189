//! The cooperative budget: a task that is always ready gives way now and then.
//!
//! Each poll of a task starts with a budget. Resources of the runtime spend
//! one unit for each operation that succeeds; when nothing is left they answer
//! "pending" and wake the task at once, so that it goes to the back of the
//! queue and its neighbours run. Channels and other primitives taken over
//! from tokio spend nothing: a loop over them alone should call
//! [`consume_budget`](crate::task::consume_budget).

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::context::{self, Budget};
use crate::post::Seen;

/// Operations that one poll may do before it gives way.
const OPERATIONS: u8 = 128;

const FULL: Budget = Budget(Some(OPERATIONS));

/// One unit, given back when dropped unless progress was made with it.
#[must_use]
pub(crate) struct Spent {
    before: Budget,
}

impl Spent {
    /// The operation succeeded: the unit is spent for good.
    pub(crate) fn made_progress(mut self) {
        self.before = Budget::UNLIMITED;
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        if self.before != Budget::UNLIMITED {
            context::with_budget(|budget| budget.set(self.before));
        }
    }
}

/// Takes one unit, if one is left.
#[inline]
pub(crate) fn spend() -> Option<Spent> {
    context::with_budget(|budget| {
        let before = budget.get();
        match before.0 {
            None => {}
            Some(0) => return None,
            Some(left) => budget.set(Budget(Some(left - 1))),
        }
        Some(Spent { before })
    })
}

/// Takes one unit. Pending, with the task woken, when none is left.
#[inline]
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<Spent> {
    match spend() {
        Some(spent) => Poll::Ready(spent),
        None => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

/// How often one poll of a task that ends with it is answered "pending". Joins
/// poll some of their parts again; but another executor's `block_on` inside of
/// the task would go on for ever, and is refused in the end.
const ENDING_MAX: u32 = 1_000;

/// Pending, with the waker woken, in a poll of a task that ends with it, since
/// its runtime does: that the runtime can no longer give what is awaited is
/// then no error. Ready everywhere else.
///
/// # Cost
/// A look at the thread's post.
pub(crate) fn poll_ending(cx: &mut Context<'_>) -> Poll<()> {
    thread_local!(static ANSWERED: Cell<(Option<Seen>, u32)> = const { Cell::new((None, 0)) });
    let poll = context::ending_poll();
    if poll.is_none() {
        return Poll::Ready(());
    }
    let (before, count) = ANSWERED.get();
    let count = if before == poll { count + 1 } else { 1 };
    ANSWERED.set((poll, count));
    if count > ENDING_MAX {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Whether a unit is left.
#[inline]
pub(crate) fn has_budget() -> bool {
    context::with_budget(|budget| budget.get().0 != Some(0))
}

/// Runs `f` with a full budget, as one poll of a task.
#[inline]
pub(crate) fn with_full<R>(f: impl FnOnce() -> R) -> R {
    with_cell(FULL, f)
}

/// Runs `f` without a limit.
pub(crate) fn with_unlimited<R>(f: impl FnOnce() -> R) -> R {
    with_cell(Budget::UNLIMITED, f)
}

#[inline]
fn with_cell<R>(inner: Budget, f: impl FnOnce() -> R) -> R {
    struct Restore(Budget);
    impl Drop for Restore {
        #[inline]
        fn drop(&mut self) {
            context::with_budget(|budget: &Cell<Budget>| budget.set(self.0));
        }
    }
    let _restore = Restore(context::with_budget(|budget| budget.replace(inner)));
    f()
}

/// Lets a future run without the cooperative budget.
///
/// For futures that must not be held up by the budget of the task that polls
/// them; a loop inside that is always ready then starves its neighbours.
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

pin_project_lite::pin_project! {
    /// The future of [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.project().future;
        with_unlimited(|| future.poll(cx))
    }
}

/// One operation's unit of the budget, for futures made by hand; see
/// [`poll_proceed`](crate::task::coop::poll_proceed).
///
/// Dropping it gives the unit back, unless progress was made.
#[must_use]
pub struct RestoreOnPending {
    spent: Cell<Option<Spent>>,
    /// The budget is the thread's own.
    thread: PhantomData<*mut ()>,
}

impl RestoreOnPending {
    /// The operation succeeded: the unit is spent for good.
    pub fn made_progress(&self) {
        if let Some(spent) = self.spent.take() {
            spent.made_progress();
        }
    }
}

impl fmt::Debug for RestoreOnPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreOnPending").finish_non_exhaustive()
    }
}

/// Takes one unit of the budget for an operation that may make progress.
/// `Pending`, with the task of `cx` woken, when none is left.
pub fn poll_restorable(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    poll_proceed(cx).map(|spent| RestoreOnPending {
        spent: Cell::new(Some(spent)),
        thread: PhantomData,
    })
}

/// Has a future spend one unit of the budget when it is done.
///
/// For futures that are ready at once more often than not and know nothing of
/// the budget, as those of `tapio::sync`.
pub fn cooperative<F: Future>(future: F) -> Coop<F> {
    Coop { future }
}

pin_project_lite::pin_project! {
    /// The future of [`cooperative`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Coop<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let spent = ready!(poll_proceed(cx));
        let output = ready!(self.project().future.poll(cx));
        spent.made_progress();
        Poll::Ready(output)
    }
}

/// Spends one unit of the budget, and gives way if none is left.
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
pub async fn consume_budget() {
    std::future::poll_fn(|cx| poll_proceed(cx).map(Spent::made_progress)).await;
}

/// Whether the running task may do more operations before it gives way.
/// Always so outside of tasks.
#[must_use]
pub fn has_budget_remaining() -> bool {
    has_budget()
}
