//! The future that a group lives in.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::crew::Crew;
use super::error::GroupError;
use super::group::TaskGroup;
use super::life::Births;
use super::shared::Shared;

impl<T, E> TaskGroup<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// Runs `body` with a group, and ends when the group has: see
    /// [`TaskGroup`] for how.
    ///
    /// # Errors
    /// When the body or a child failed, a child panicked, or the deadline
    /// passed.
    ///
    /// # Panics
    /// When the body panics, after the children have ended.
    ///
    /// # Cancel safety
    /// The body is dropped and the children are aborted when the future is
    /// dropped; [`Scope::ended`] tells when they have ended. Failures that
    /// children had by then are reported (see [`guard`](crate::guard)).
    ///
    /// # Cost
    /// A handful of allocations for the group; for each child, one beside the
    /// task's.
    #[track_caller]
    pub fn scope<F, B, R>(body: F) -> Scope<impl Future<Output = Result<R, GroupError<E>>>>
    where
        F: FnOnce(TaskGroup<T, E>) -> B,
        B: Future<Output = Result<R, E>>,
    {
        let births = Births::new();
        Scope {
            running: run(body, births.clone(), Location::caller()),
            births,
        }
    }
}

async fn run<T, E, F, B, R>(
    body: F,
    births: Births,
    at: &'static Location<'static>,
) -> Result<R, GroupError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: FnOnce(TaskGroup<T, E>) -> B,
    B: Future<Output = Result<R, E>>,
{
    let shared = Arc::new(Shared::new(at));
    shared.open(births.give());
    let mut crew = Crew::new(Arc::clone(&shared), at);
    let mut returned = {
        let mut body = pin!(Some(body(TaskGroup { shared })));
        let returned = poll_fn(|cx| {
            let body = body.as_mut().as_pin_mut().expect("it is dropped below");
            poll_beside(&mut crew, body, cx)
        })
        .await;
        // Dropped here at the latest; a destructor's panic is the body's.
        match catch_unwind(AssertUnwindSafe(|| body.set(None))) {
            Ok(()) => returned,
            Err(payload) => Returned::Panic(payload),
        }
    };
    match returned {
        Returned::Value(_) => poll_fn(|cx| crew.poll_rest(cx)).await,
        Returned::Error(error) => {
            crew.body_failed(error);
            returned = Returned::Nothing;
        }
        Returned::Nothing | Returned::Panic(_) => {}
    }
    crew.cancel();
    poll_fn(|cx| crew.poll_joined(cx)).await;
    births.all_ended().await;
    crew.take_late();
    match returned {
        Returned::Panic(payload) => {
            crew.report_failures();
            resume_unwind(payload)
        }
        Returned::Value(value) if !crew.has_failed() => Ok(value),
        _ => {
            let mut failures = crew.take_failures();
            let first = failures.remove(0);
            Err(GroupError::new(at, first, failures))
        }
    }
}

/// How the body ended.
enum Returned<R, E> {
    Value(R),
    Error(E),
    Panic(Box<dyn std::any::Any + Send>),
    /// It did not: a child failed, or the deadline passed.
    Nothing,
}

/// Polls the body, and looks at the children before and after.
fn poll_beside<T, E, R>(
    crew: &mut Crew<T, E>,
    body: Pin<&mut impl Future<Output = Result<R, E>>>,
    cx: &mut Context<'_>,
) -> Poll<Returned<R, E>>
where
    T: 'static,
    E: 'static,
{
    crew.look(cx);
    if crew.has_failed() {
        return Poll::Ready(Returned::Nothing);
    }
    match catch_unwind(AssertUnwindSafe(|| body.poll(cx))) {
        Ok(Poll::Ready(Ok(value))) => return Poll::Ready(Returned::Value(value)),
        Ok(Poll::Ready(Err(error))) => return Poll::Ready(Returned::Error(error)),
        Ok(Poll::Pending) => {}
        Err(payload) => return Poll::Ready(Returned::Panic(payload)),
    }
    // Once, not until nothing is new: a body that spawns at each poll would
    // keep the thread. What ended just now wakes the body by itself.
    crew.look(cx);
    if crew.has_failed() {
        return Poll::Ready(Returned::Nothing);
    }
    Poll::Pending
}

pin_project! {
    /// The future of [`TaskGroup::scope`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Scope<F> {
        #[pin]
        running: F,
        births: Births,
    }
}

impl<F> Scope<F> {
    /// Waits until nothing of the group is left, also when the scope is
    /// dropped before it is done.
    ///
    /// # Examples
    /// ```
    /// # use tapio::task::TaskGroup;
    /// # use tapio::time::{Duration, timeout};
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// let scope = TaskGroup::<(), std::io::Error>::scope(async |group| {
    ///     group.spawn(std::future::pending());
    ///     Ok(group.all().await)
    /// });
    /// let ended = scope.ended();
    /// // `timeout` drops the scope, which aborts the child.
    /// assert!(timeout(Duration::from_millis(1), scope).await.is_err());
    /// ended.wait().await;
    /// # });
    /// ```
    pub fn ended(&self) -> Ended {
        Ended(self.births.clone())
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().running.poll(cx)
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Tells when nothing of a group is left.
#[derive(Clone)]
pub struct Ended(Births);

impl Ended {
    /// Waits until every child of the group has ended, with what was begun in
    /// it. Ready at once for a scope that was never polled.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn wait(&self) {
        self.0.all_ended().await;
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ended").finish_non_exhaustive()
    }
}
