//! What belongs to a set's thread, and the set that a thread is in.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use super::shared::LocalShared;
use crate::cell::{JoinHandle, Named, Notified, new_task};
use crate::task_id::Id;

thread_local! {
    static CURRENT: RefCell<Option<Entered>> = const { RefCell::new(None) };
}

/// The set that a thread is in.
struct Entered {
    scene: Rc<Scene>,
    /// Whether the set is being polled, and so looks at its queue anyway; not
    /// so while a guard of [`LocalSet::enter`](super::LocalSet::enter) lives.
    is_polled: bool,
}

/// A set, as its own thread sees it.
pub(super) struct Scene {
    pub(super) shared: Arc<LocalShared>,
    /// Tasks to run, in order. Never borrowed while foreign code runs.
    queue: RefCell<VecDeque<Notified>>,
    /// How many tasks were run, to look at the inbox now and then.
    runs: Cell<u32>,
}

/// Tasks run in a row before the inbox is looked at again.
const INBOX_INTERVAL: u32 = 31;

/// Spawns a task on the [`LocalSet`](super::LocalSet) that this code runs in.
/// The task need not be `Send`: it never leaves this thread.
///
/// # Panics
/// Outside of a `LocalSet`. In particular, a task spawned with
/// [`spawn`](crate::spawn) is outside, wherever it was spawned.
///
/// # Examples
/// ```
/// use std::rc::Rc;
///
/// let runtime = tapio::runtime::Runtime::new()?;
/// let set = tapio::task::LocalSet::new();
/// set.block_on(&runtime, async {
///     let text = Rc::new("not `Send`");
///     let task = tapio::task::spawn_local({
///         let text = Rc::clone(&text);
///         async move { text.len() }
///     });
///     assert_eq!(task.await.unwrap(), text.len());
/// });
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_local_named(future, None, Location::caller())
}

/// As [`spawn_local`], for a task that may have a name.
#[track_caller]
pub(in crate::task) fn spawn_local_named<F>(
    future: F,
    name: Option<&str>,
    at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let scene = CURRENT.with(|current| {
        let current = current.borrow();
        current.as_ref().map(|entered| Rc::clone(&entered.scene))
    });
    match scene {
        Some(scene) => {
            scene.shared.process.require("cannot spawn a local task");
            let handle = scene.spawn(future, name, at);
            scene.wake_unless_polled();
            handle
        }
        None => panic!(
            "`spawn_local` called from outside of a `task::LocalSet` or `runtime::LocalRuntime` \
             (which tapio does not have yet)"
        ),
    }
}

/// Whether this very set is being polled on this thread.
pub(super) fn is_polled_here(shared: &Arc<LocalShared>) -> bool {
    let is_here = CURRENT.try_with(|current| {
        current
            .borrow()
            .as_ref()
            .is_some_and(|entered| entered.is_polled && Arc::ptr_eq(&entered.scene.shared, shared))
    });
    is_here.unwrap_or(false)
}

/// Queues a task of the set that is being polled on this thread.
pub(super) fn push_here(task: Notified) {
    CURRENT.with(|current| {
        let current = current.borrow();
        let entered = current.as_ref().expect("the set was polled just now");
        entered.scene.push(task);
    });
}

impl Scene {
    pub(super) fn new() -> Rc<Scene> {
        Rc::new(Scene {
            shared: Arc::new(LocalShared::new()),
            queue: RefCell::default(),
            runs: Cell::new(0),
        })
    }

    pub(super) fn spawn<F>(
        &self,
        future: F,
        name: Option<&str>,
        at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let (id, scheduler) = (Id::next(), Arc::clone(&self.shared));
        let (owned, notified, handle) = match name {
            Some(name) => new_task(future, Named::new(scheduler, id, name), id, at),
            None => new_task(future, scheduler, id, at),
        };
        match self.shared.owned.enter(0, owned) {
            Ok(()) => self.push(notified),
            Err(refused) => refused.shut_down(),
        }
        handle
    }

    pub(super) fn push(&self, task: Notified) {
        self.queue.borrow_mut().push_back(task);
    }

    /// The next task to run.
    pub(super) fn next(&self) -> Option<Notified> {
        let runs = self.runs.get();
        self.runs.set(runs.wrapping_add(1));
        let mut queue = self.queue.borrow_mut();
        if queue.is_empty() || runs.is_multiple_of(INBOX_INTERVAL) {
            self.shared.collect(&mut queue);
        }
        queue.pop_front()
    }

    /// Ends all tasks and empties the queue.
    pub(super) fn close(&self) {
        self.shared.close();
        let ended = self.queue.take();
        drop(ended);
    }

    /// Enters the set on this thread until the guard is dropped. `None` when
    /// the thread is being torn down.
    pub(super) fn enter(self: &Rc<Self>, is_polled: bool) -> Option<LocalEnterGuard> {
        let entered = Entered {
            scene: Rc::clone(self),
            is_polled,
        };
        CURRENT
            .try_with(|current| LocalEnterGuard {
                outer: current.replace(Some(entered)),
            })
            .ok()
    }

    fn wake_unless_polled(&self) {
        let is_polled = CURRENT.with(|current| {
            current
                .borrow()
                .as_ref()
                .is_some_and(|entered| entered.is_polled)
        });
        if !is_polled {
            self.shared.wake();
        }
    }
}

/// Leaves the set again when dropped; made by
/// [`LocalSet::enter`](super::LocalSet::enter).
#[must_use = "the set is left again at once when the guard is dropped"]
pub struct LocalEnterGuard {
    outer: Option<Entered>,
}

impl Drop for LocalEnterGuard {
    fn drop(&mut self) {
        let outer = self.outer.take();
        // The scene is dropped after the borrow: it may be the last.
        let left = CURRENT.try_with(|current| current.replace(outer));
        drop(left);
    }
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEnterGuard").finish_non_exhaustive()
    }
}
