//! What the body of a group holds.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::life::Alive;
use super::shared::{Birth, Shared};
use super::spawner::{Place, Spawner};
use crate::report::TaskInfo;
use crate::task::{self, spawn_blocking_at};
use crate::time::Instant;

/// Tasks that end with the block that spawned them: structured concurrency.
///
/// [`TaskGroup::scope`] runs a body, which is given the group, spawns children
/// into it and takes their results as they end ([`next`](TaskGroup::next)) or all at once
/// ([`all`](TaskGroup::all)). When the scope's future is done, no child is
/// there any more, nor anything in groups within children.
///
/// - The body returns a value: the scope waits for the children that are left
///   and gives the value. Results that nobody took are dropped.
/// - A child fails, panics, or is cancelled by the end of its runtime: the
///   others are cancelled, the body is dropped at its await point, and when
///   all have ended, a [`GroupError`](super::GroupError) comes out. Children
///   that fail while they are being cancelled are in it as well.
/// - The body fails or panics: the children are cancelled, and when all have
///   ended, its error or panic comes out.
/// - The [deadline](TaskGroup::deadline) passes: as when a child fails; the
///   error says who was there still.
///
/// "Cancelled" is aborted at the next await point. A child that is in the
/// middle of a long poll, or waits for a blocking call of the group's, is
/// waited for: an error comes out when nothing runs any more, not before.
///
/// # When the scope is dropped
/// Nobody can wait in a destructor. The children of a scope that is dropped
/// before it is done are aborted: each ends at its next await point, and one
/// that is being polled on another worker at that moment runs on until then.
/// To know when they have ended, keep [`Scope::ended`](super::Scope::ended)
/// and await it. In a child of another group nothing needs to be done: the
/// outer group waits for what was begun in the inner.
///
/// # Why children cannot borrow from the body
/// A future may be leaked (`std::mem::forget`, a cycle of `Arc`s) after it was
/// polled. Then no destructor runs, its memory is given back to whoever owned
/// it, and a child on another thread would go on to use what it borrowed from
/// there. Threads can borrow (`std::thread::scope`) since that call does not
/// return before they end; an `async` function has no such hold over its
/// caller. Share with `Arc`, give channels, or run futures that borrow inside
/// of one task: [`join!`](crate::join), or `futures::future::join_all` and
/// `FuturesUnordered` for any number. For computation that borrows there is
/// [`cpu::scope`](crate::cpu::scope), which does not return either.
///
/// # Examples
/// ```
/// use tapio::task::TaskGroup;
/// use tapio::time::Duration;
///
/// # async fn fetch(page: u32) -> std::io::Result<usize> { Ok(page as usize) }
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let bytes = TaskGroup::scope(async |group| {
///     group.limit(2);
///     group.timeout(Duration::from_secs(5));
///     for page in 1..=4 {
///         group.spawn(fetch(page));
///     }
///     let mut bytes = 0;
///     while let Some(length) = group.next().await {
///         bytes += length;
///     }
///     Ok(bytes)
/// })
/// .await?;
/// assert_eq!(bytes, 10);
/// # Ok::<_, tapio::task::GroupError<std::io::Error>>(())
/// # }).unwrap();
/// ```
pub struct TaskGroup<T, E> {
    pub(super) shared: Arc<Shared<T, E>>,
}

impl<T, E> TaskGroup<T, E> {
    /// Lets at most `count` children run at a time, of those spawned from now
    /// on. The others wait in line, in the order of spawning; to wait
    /// before you spawn, see [`TaskGroup::reserve`].
    ///
    /// # Panics
    /// When `count` is zero.
    #[track_caller]
    pub fn limit(&self, count: usize) {
        assert!(count > 0, "a group that lets no child run never ends");
        self.shared.set_limit(count);
    }

    /// Has the group fail at `deadline` unless it has ended by then. The last
    /// call counts.
    ///
    /// # Panics
    /// The scope does, in a runtime without
    /// [`enable_time`](crate::runtime::Builder::enable_time).
    pub fn deadline(&self, deadline: Instant) {
        self.shared.set_deadline(deadline);
    }

    /// Has the group fail when it has not ended `duration` from now; see
    /// [`TaskGroup::deadline`].
    pub fn timeout(&self, duration: Duration) {
        self.deadline(Instant::now().plus(duration));
    }

    /// Cancels the children that are there, without a failure: for a body that
    /// has what it wanted. What they would return is dropped, an error too; a
    /// panic still comes out.
    ///
    /// # Examples
    /// The first answer wins:
    /// ```
    /// # use tapio::task::TaskGroup;
    /// # async fn ask(server: u32) -> std::io::Result<u32> {
    /// #     if server > 0 { std::future::pending::<()>().await; }
    /// #     Ok(server)
    /// # }
    /// # tapio::runtime::Runtime::new().unwrap().block_on(async {
    /// let answer = TaskGroup::scope(async |group| {
    ///     for server in 0..3 {
    ///         group.spawn(ask(server));
    ///     }
    ///     let first = group.next().await;
    ///     group.cancel();
    ///     Ok(first)
    /// })
    /// .await?;
    /// assert_eq!(answer, Some(0));
    /// # Ok::<_, tapio::task::GroupError<std::io::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// How many children have not ended, those in line included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.open_count()
    }

    /// Whether no child is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The result of the child that ended next; `None` when none is left.
    ///
    /// A child that fails ends the body here, at this await point.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&self) -> Option<T> {
        poll_fn(|cx| self.shared.poll_next(cx)).await
    }

    /// Waits for all children; the results that were not taken, in the order
    /// of spawning.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn all(&self) -> Vec<T> {
        poll_fn(|cx| self.shared.poll_all(cx)).await
    }

    /// Waits until another child may run, and keeps the place for it: spawning
    /// with back-pressure. Without a [limit](TaskGroup::limit) there is always
    /// one.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in line.
    ///
    /// # Examples
    /// A server takes no connection that it cannot serve:
    /// ```no_run
    /// # use tapio::{net::{TcpListener, TcpStream}, task::TaskGroup};
    /// # async fn serve(_: TcpStream) -> std::io::Result<()> { Ok(()) }
    /// # async fn run(listener: TcpListener) -> Result<(), tapio::task::GroupError<std::io::Error>> {
    /// TaskGroup::scope(async |group| {
    ///     group.limit(1_000);
    ///     loop {
    ///         let place = group.reserve().await;
    ///         let (stream, _) = listener.accept().await?;
    ///         place.spawn(serve(stream));
    ///     }
    /// })
    /// .await
    /// # }
    /// ```
    pub async fn reserve(&self) -> Place<'_, T, E> {
        let place = match self.shared.limit() {
            Some(limit) => limit.acquire_owned().await.ok(),
            None => None,
        };
        Place::new(self, place)
    }

    /// A child that is about to be.
    #[track_caller]
    pub(super) fn birth(&self) -> Birth<'_, T, E> {
        let Some(birth) = self.shared.birth() else {
            panic!(
                "the task group at {} is over and takes no more children; what outlives its body \
                 should keep a `Spawner`",
                self.shared.at
            );
        };
        birth
    }

    /// A way for others to spawn into this group, children too.
    #[must_use]
    pub fn spawner(&self) -> Spawner<T, E> {
        Spawner::new(Arc::clone(&self.shared))
    }
}

impl<T, E> TaskGroup<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// Spawns a child.
    ///
    /// It never waits: with a [limit](TaskGroup::limit), a child beyond it is
    /// there and has not begun.
    ///
    /// # Panics
    /// Outside of a runtime, and when the group is over, which it is not while
    /// its body runs.
    #[track_caller]
    pub fn spawn<F>(&self, child: F)
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.birth().spawn(child, None);
    }

    /// Runs a call that blocks as a child, on a thread kept for that.
    ///
    /// A call that has begun cannot be cancelled: the group waits for it, and
    /// its error or panic counts as a child's.
    ///
    /// # Panics
    /// Outside of a runtime, and when the group is over, which it is not while
    /// its body runs.
    #[track_caller]
    pub fn spawn_blocking<F>(&self, call: F)
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let birth = self.birth();
        let call = Call {
            call,
            life: birth.life(),
            shared: Arc::clone(&self.shared),
            at: Location::caller(),
        };
        birth.spawn(call.run(), None);
    }
}

/// A call that blocks, on its way to a thread.
struct Call<F, T, E> {
    call: F,
    life: Arc<Alive>,
    shared: Arc<Shared<T, E>>,
    at: &'static Location<'static>,
}

impl<F, T, E> Call<F, T, E>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    /// What the child does: it has the call made and waits for its outcome.
    async fn run(self) -> Result<T, E> {
        let (outcome, came) = oneshot::channel();
        let Call {
            call,
            life,
            shared,
            at,
        } = self;
        let group = Arc::clone(&shared);
        let make = move || {
            let ended = catch_unwind(AssertUnwindSafe(call));
            if let Err(ended) = outcome.send(ended) {
                // The child was cancelled meanwhile, and hears nothing.
                group.call_ended(TaskInfo::new(task::id(), at), ended);
            }
            drop(life);
        };
        drop(spawn_blocking_at(make, at));
        let mut coming = Coming { came, shared, at };
        match (&mut coming.came).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(payload)) => resume_unwind(payload),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The outcome of a call, which may come in the very moment in which the child
/// is cancelled.
struct Coming<T, E> {
    came: oneshot::Receiver<thread::Result<Result<T, E>>>,
    shared: Arc<Shared<T, E>>,
    at: &'static Location<'static>,
}

impl<T, E> Drop for Coming<T, E> {
    fn drop(&mut self) {
        self.came.close();
        if let Ok(ended) = self.came.try_recv()
            && let Some(id) = task::try_id()
        {
            let task = TaskInfo::new(id, self.at);
            self.shared.call_ended(task, ended);
        }
    }
}

impl<T, E> fmt::Debug for TaskGroup<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
