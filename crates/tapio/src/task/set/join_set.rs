//! What users hold: tasks of one output type, joined as they end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::Builder;
use super::woken::{HandleWaker, WokenList};
use crate::coop;
use crate::runtime::Handle;
use crate::task::{
    AbortHandle, Id, JoinError, JoinHandle, LocalSet, spawn, spawn_blocking, spawn_local,
};

/// Tasks that are waited for together, each as it ends.
///
/// Dropping the set aborts all of its tasks; [`JoinSet::detach_all`] lets them
/// go on.
///
/// # Cost
/// One allocation for each task. Waiting polls only what was woken, so a
/// completion costs the same in a set of any size.
///
/// # Examples
/// ```
/// use tapio::task::JoinSet;
///
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let mut squares = JoinSet::new();
/// for n in 1..=3 {
///     squares.spawn(async move { n * n });
/// }
/// let mut sum = 0;
/// while let Some(square) = squares.join_next().await {
///     sum += square?;
/// }
/// assert_eq!(sum, 14);
/// # Ok::<_, tapio::task::JoinError>(())
/// # }).unwrap();
/// ```
pub struct JoinSet<T> {
    members: Slab<Member<T>>,
    woken: Arc<WokenList>,
}

struct Member<T> {
    handle: JoinHandle<T>,
    waker: Arc<HandleWaker>,
}

impl<T> JoinSet<T> {
    /// An empty set.
    #[must_use]
    pub fn new() -> JoinSet<T> {
        JoinSet {
            members: Slab::new(),
            woken: Arc::default(),
        }
    }

    /// How many tasks are in the set: those that run, and those that have
    /// ended and were not joined.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no task is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<T: 'static> JoinSet<T> {
    /// A builder for a task of the set that has a name.
    ///
    /// # Examples
    /// ```
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut set = tapio::task::JoinSet::new();
    /// set.build_task().name("first").spawn(async { 1 })?;
    /// assert_eq!(set.join_next().await.unwrap()?, 1);
    /// # Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn build_task(&mut self) -> Builder<'_, T> {
        Builder::new(self)
    }

    /// Spawns a task into the set.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(spawn(task))
    }

    /// Spawns a task on `handle`'s runtime into the set.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, task: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn(task))
    }

    /// Spawns a task on the current [`LocalSet`] into the set.
    ///
    /// # Panics
    /// Outside of a `LocalSet`.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(spawn_local(task))
    }

    /// Spawns a task on `local_set` into the set.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, task: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(local_set.spawn_local(task))
    }

    /// Runs a call that blocks on the pool for that, as a member of the set.
    ///
    /// # Panics
    /// Outside of a runtime, or when the system gives the pool no first
    /// thread.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(spawn_blocking(f))
    }

    /// Runs a call that blocks on the pool of `handle`'s runtime, as a member
    /// of the set.
    ///
    /// # Panics
    /// When the system gives the pool no first thread.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn_blocking(f))
    }

    pub(in crate::task) fn insert(&mut self, handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let entry = self.members.vacant_entry();
        let waker = self.woken.waker_for(entry.key());
        // Told of its end from now on, although nobody waits yet, so that
        // `try_join_next` has a list to look at.
        let is_complete = handle.poll_complete(&Waker::from(Arc::clone(&waker)));
        if is_complete {
            Waker::from(Arc::clone(&waker)).wake();
        }
        entry.insert(Member { handle, waker });
        abort
    }

    /// Waits for the next task to end, and takes it out of the set. `None`
    /// when the set is empty.
    ///
    /// # Errors
    /// When that task panicked or was aborted.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped: a task leaves the set only
    /// when its result is returned.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`JoinSet::join_next`], with the task's id; a [`JoinError`] has its
    /// own.
    ///
    /// # Errors
    /// When that task panicked or was aborted.
    ///
    /// # Cancel safety
    /// As for [`JoinSet::join_next`].
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// Takes a task that has ended out of the set, if there is one.
    ///
    /// # Errors
    /// When that task panicked or was aborted.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        Some(self.try_join_next_with_id()?.map(|(_, output)| output))
    }

    /// As [`JoinSet::try_join_next`], with the task's id.
    ///
    /// # Errors
    /// When that task panicked or was aborted.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        // No budget: a call that cannot wait cannot give way either.
        coop::with_unlimited(|| {
            loop {
                let woken = self.woken.pop()?;
                if let Some(Poll::Ready(joined)) = self.poll_member(woken) {
                    return Some(joined);
                }
            }
        })
    }

    /// As [`JoinSet::join_next`], by hand: `Pending` wakes the task of `cx`
    /// when there may be a result.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx)
            .map(|joined| Some(joined?.map(|(_, output)| output)))
    }

    /// As [`JoinSet::join_next_with_id`], by hand.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        if self.members.is_empty() {
            return Poll::Ready(None);
        }
        while let Some(woken) = self.woken.pop_or_wait(cx.waker()) {
            match self.poll_member(woken) {
                Some(Poll::Ready(joined)) => return Poll::Ready(Some(joined)),
                Some(Poll::Pending) => {
                    // It was woken and gives no result: the budget is used up, or the
                    // task that asks ends with its runtime.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {}
            }
        }
        Poll::Pending
    }

    /// Polls the member that was woken, and takes it out if it has ended.
    /// `None` when it is no longer a member.
    fn poll_member(&mut self, woken: Arc<HandleWaker>) -> Option<Poll<Result<(Id, T), JoinError>>> {
        let key = woken.key;
        let member = self
            .members
            .get_mut(key)
            .filter(|member| Arc::ptr_eq(&member.waker, &woken))?;
        let waker = Waker::from(woken);
        let polled = Pin::new(&mut member.handle).poll(&mut Context::from_waker(&waker));
        let Poll::Ready(joined) = polled else {
            return Some(Poll::Pending);
        };
        let id = self.members.remove(key).handle.id();
        Some(Poll::Ready(joined.map(|output| (id, output))))
    }

    /// Aborts all tasks and waits until they have ended. What they returned
    /// or panicked with is dropped unread, so that a panic or an error among
    /// it is reported as one that nobody looked at.
    ///
    /// # Cancel safety
    /// All are aborted at the first poll; those not waited for when the
    /// future is dropped stay in the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        poll_fn(|cx| self.poll_empty(cx)).await;
    }

    /// Drops the handles of tasks that have ended, until none is left.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.members.is_empty() {
            let Some(woken) = self.woken.pop_or_wait(cx.waker()) else {
                return Poll::Pending;
            };
            let member = self.members.get(woken.key);
            let waker = Waker::from(Arc::clone(&woken));
            if member.is_some_and(|member| {
                Arc::ptr_eq(&member.waker, &woken) && member.handle.poll_complete(&waker)
            }) {
                drop(self.members.remove(woken.key));
            }
        }
        Poll::Ready(())
    }

    /// Waits for all tasks; their results in the order of their ends.
    ///
    /// # Panics
    /// When a task panicked, with its panic, or was aborted; the other tasks
    /// are then aborted.
    ///
    /// # Cancel safety
    /// All tasks are aborted and results lost when the future is dropped, as
    /// the set is.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(joined) = self.join_next().await {
            match joined {
                Ok(output) => outputs.push(output),
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => panic::resume_unwind(payload),
                    Err(error) => panic!("{error}"),
                },
            }
        }
        outputs
    }

    /// Asks all tasks to end. They stay in the set, and joining one gives a
    /// cancelled [`JoinError`] unless it had come to its end before.
    pub fn abort_all(&mut self) {
        for (_, member) in &self.members {
            member.handle.abort();
        }
    }

    /// Lets all tasks go on by themselves and empties the set.
    pub fn detach_all(&mut self) {
        drop(mem::take(&mut self.members));
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        for (_, member) in &self.members {
            member.handle.abort();
        }
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

/// Spawns every future into a new set. Panics outside of a runtime.
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(tasks: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        set.extend(tasks);
        set
    }
}

/// Spawns every future into the set. Panics outside of a runtime.
impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, tasks: I) {
        for task in tasks {
            self.spawn(task);
        }
    }
}
