//! The set: a future that runs tasks.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::scene::{LocalEnterGuard, Scene};
use crate::cell::JoinHandle;
use crate::context;
use crate::coop;
use crate::post::Pinned;
use crate::runtime::{Id, Runtime, UnhandledPanic};

/// Tasks run at one poll of a set, before it gives way, as tokio has it.
const TASKS_PER_TICK: u32 = 61;
const PANICKED: &str =
    "a spawned task panicked and the LocalSet is configured to shutdown on unhandled panic";

/// Tasks that are pinned to this thread, and so need not be `Send`.
///
/// They run while somebody awaits the set itself, which is done when all of
/// its tasks are, or a future in [`LocalSet::run_until`]. Dropping the set
/// drops its tasks, here and now.
///
/// # Examples
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let set = tapio::task::LocalSet::new();
/// let count = Rc::new(Cell::new(0));
/// for _ in 0..3 {
///     let count = Rc::clone(&count);
///     set.spawn_local(async move { count.set(count.get() + 1) });
/// }
/// set.await;
/// assert_eq!(count.get(), 3);
/// # });
/// ```
pub struct LocalSet {
    scene: Rc<Scene>,
}

impl LocalSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> LocalSet {
        LocalSet {
            scene: Scene::new(),
        }
    }

    /// Enters the set until the guard is dropped:
    /// [`spawn_local`](crate::task::spawn_local) spawns into it meanwhile.
    pub fn enter(&self) -> LocalEnterGuard {
        self.scene
            .enter(false)
            .expect("a thread that is being torn down enters no `LocalSet`")
    }

    /// Spawns a task on the set. It runs when the set is polled.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn_named(future, None, Location::caller())
    }

    /// As [`LocalSet::spawn_local`], for a task that may have a name.
    pub(in crate::task) fn spawn_named<F>(
        &self,
        future: F,
        name: Option<&str>,
        at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let handle = self.scene.spawn(future, name, at);
        self.scene.shared.wake();
        handle
    }

    /// Runs `future` on `runtime` to its end, with the set's tasks beside it.
    /// Tasks that have not ended by then wait for the next time.
    ///
    /// # Panics
    /// Inside of asynchronous code, or when the future panics.
    #[track_caller]
    pub fn block_on<F>(&self, runtime: &Runtime, future: F) -> F::Output
    where
        F: Future,
    {
        runtime.block_on(self.run_until(future))
    }

    /// Runs `future` to its end, with the set's tasks beside it. Inside of it
    /// [`spawn_local`](crate::task::spawn_local) spawns on this set.
    ///
    /// # Cancel safety
    /// Dropping it drops `future`; the set's tasks wait for the next time.
    pub async fn run_until<F>(&self, future: F) -> F::Output
    where
        F: Future,
    {
        RunUntil { set: self, future }.await
    }

    /// What a panic in a task of this set does to the others, which is
    /// nothing unless said otherwise. With
    /// [`ShutdownRuntime`](UnhandledPanic::ShutdownRuntime) all tasks of the
    /// set end, as if aborted, and whoever polls the set panics, now and ever
    /// after.
    ///
    /// # Panics
    /// When the set was in use already.
    #[track_caller]
    pub fn unhandled_panic(&mut self, behavior: UnhandledPanic) -> &mut LocalSet {
        let is_in_use = Rc::strong_count(&self.scene) > 1 || self.scene.shared.owned.len() > 0;
        assert!(
            !is_in_use,
            "Unhandled Panic behavior modified after starting LocalSet"
        );
        let ends = behavior == UnhandledPanic::ShutdownRuntime;
        // Relaxed: this thread is the only one to use it.
        self.scene
            .shared
            .ends_on_panic
            .store(ends, Ordering::Relaxed);
        self
    }

    /// The set's id, which no runtime has either.
    #[must_use]
    pub fn id(&self) -> Id {
        Id::of(&self.scene.shared)
    }

    /// Calls `f` as the set, on a thread that must not be given away: tasks
    /// here cannot be run by another meanwhile.
    fn polled<R>(&self, f: impl FnOnce() -> R) -> R {
        let _pinned = context::set_pinned();
        let _named = context::pin(Arc::clone(&self.scene.shared) as Arc<dyn Pinned>);
        let _entered = self.scene.enter(true);
        f()
    }

    /// Runs tasks. Says whether there may be more to run now.
    fn tick(&self) -> bool {
        for _ in 0..TASKS_PER_TICK {
            // The last one may have forked.
            let process = self.scene.shared.process;
            process.require("cannot run the tasks of a `LocalSet`");
            // Relaxed: set by this thread.
            let has_panicked = self.scene.shared.has_panicked.load(Ordering::Relaxed);
            assert!(!has_panicked, "{PANICKED}");
            let Some(task) = self.scene.next() else {
                return false;
            };
            if let Some(again) = coop::with_full(|| task.run()) {
                self.scene.push(again);
            }
        }
        true
    }
}

impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let process = self.scene.shared.process;
        process.require("cannot run the tasks of a `LocalSet`");
        // Before the work, so that a wake during it is not lost.
        self.scene.shared.wait(cx.waker());
        if self.polled(|| self.tick()) {
            cx.waker().wake_by_ref();
            Poll::Pending
        } else if self.scene.shared.owned.len() == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

pin_project! {
    struct RunUntil<'a, F> {
        set: &'a LocalSet,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for RunUntil<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.set.polled(|| {
            let process = this.set.scene.shared.process;
            process.require("cannot run the tasks of a `LocalSet`");
            this.set.scene.shared.wait(cx.waker());
            if let Poll::Ready(output) = this.future.poll(cx) {
                return Poll::Ready(output);
            }
            if this.set.tick() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
    }
}

impl Default for LocalSet {
    fn default() -> LocalSet {
        LocalSet::new()
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        if self.scene.shared.process.is_current() {
            self.polled(|| self.scene.close());
        }
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet").finish_non_exhaustive()
    }
}
