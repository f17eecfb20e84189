//! A handle to a runtime.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::pin::pin;
use std::sync::{Arc, MutexGuard};

use super::{RuntimeFlavor, RuntimeMetrics};
use crate::blocking;
use crate::cell::{JoinHandle, Named, new_blocking_task};
use crate::context::{self, Entered};
use crate::scheduler::{self, Flavor, Shared, UntilPanic};
use crate::task_id::Id;
use crate::thread_parker::ThreadParker;
use crate::wheel::Wheel;

const NO_RUNTIME: &str = "there is no reactor running, must be called from the context of a Tokio 1.x runtime (here: of a tapio runtime)";
const TORN_DOWN: &str = "The Tokio context thread-local variable has been destroyed.";

thread_local! {
    /// The runtime that this thread entered last.
    static CURRENT: RefCell<Current> = const { RefCell::new(Current { handle: None, depth: 0 }) };
}

struct Current {
    handle: Option<Handle>,
    /// How many guards are alive, to notice those dropped out of order.
    depth: usize,
}

/// A reference to a runtime: spawns tasks on it from anywhere.
///
/// It does not keep the runtime running; tasks spawned through it after the
/// runtime was shut down are cancelled at once.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

/// No runtime was entered on this thread.
pub struct TryCurrentError {
    is_torn_down: bool,
}

/// Leaves the runtime again when dropped.
#[must_use = "the runtime is left again at once when the guard is dropped"]
pub struct EnterGuard<'a> {
    /// Apart, so that the lifetime does not reach the guard's end: a runtime
    /// may be shut down while a guard of it is alive.
    _leave: Leave,
    handle: PhantomData<&'a Handle>,
}

struct Leave {
    outer: Option<Handle>,
    depth: usize,
    /// What was entered is the thread's own.
    thread: PhantomData<MutexGuard<'static, ()>>,
}

impl Handle {
    /// The runtime that this thread is in.
    ///
    /// # Panics
    /// Outside of a runtime; see [`Handle::try_current`].
    #[must_use]
    #[track_caller]
    pub fn current() -> Handle {
        match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// The runtime that this thread is in, if any.
    ///
    /// # Errors
    /// When no runtime was entered, or the thread is being torn down.
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        let current = CURRENT.try_with(|current| current.borrow().handle.clone());
        match current {
            Ok(Some(handle)) => Ok(handle),
            Ok(None) => Err(TryCurrentError {
                is_torn_down: false,
            }),
            Err(_) => Err(TryCurrentError { is_torn_down: true }),
        }
    }

    /// Calls `f` with the runtime that this thread is in.
    #[track_caller]
    pub(crate) fn with_current<R>(f: impl FnOnce(&Handle) -> R) -> R {
        // Not a closure: `track_caller` would end at it.
        match Handle::try_current() {
            Ok(handle) => f(&handle),
            Err(error) => panic!("{error}"),
        }
    }

    /// Spawns a task on the runtime that this thread is in, without counting
    /// a handle.
    #[track_caller]
    pub(crate) fn spawn_on_current<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let at = Location::caller();
        let mut future = Some(future);
        let spawned = CURRENT.try_with(|current| {
            let current = current.borrow();
            let handle = current.handle.as_ref()?;
            let future = future.take().expect("taken only here");
            Some(handle.shared.spawn(future, Id::next(), at))
        });
        match spawned {
            Ok(Some((handle, refused))) => {
                if let Some(task) = refused {
                    task.shut_down();
                }
                handle
            }
            // Says why.
            _ => Handle::with_current(|_| unreachable!("no runtime was entered")),
        }
    }

    /// Enters the runtime on this thread until the guard is dropped: `spawn`
    /// and resources made meanwhile belong to it.
    ///
    /// # Panics
    /// Guards must be dropped in the reverse order of their making; dropping
    /// one out of order panics.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.enter_owned()
    }

    pub(crate) fn enter_owned<'a>(&self) -> EnterGuard<'a> {
        self.try_enter_owned().expect(TORN_DOWN)
    }

    /// `None` when the thread is being torn down.
    pub(crate) fn try_enter_owned<'a>(&self) -> Option<EnterGuard<'a>> {
        let entered = CURRENT.try_with(|current| {
            let mut current = current.borrow_mut();
            current.depth += 1;
            EnterGuard {
                _leave: Leave {
                    outer: current.handle.replace(self.clone()),
                    depth: current.depth,
                    thread: PhantomData,
                },
                handle: PhantomData,
            }
        });
        entered.ok()
    }

    /// Spawns a task on this runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_at(future, Location::caller())
    }

    /// As [`Handle::spawn`], for a task that somebody spawned at `at`.
    #[inline]
    pub(crate) fn spawn_at<F>(
        &self,
        future: F,
        at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (handle, refused) = self.shared.spawn(future, Id::next(), at);
        if let Some(task) = refused {
            task.shut_down();
        }
        handle
    }

    /// Runs a call that blocks on this runtime's pool for that.
    ///
    /// # Panics
    /// When the system gives the pool no first thread.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.spawn_blocking_or_panic(f, Location::caller())
    }

    /// As [`Handle::spawn_blocking`], for a call that somebody made at `at`.
    #[track_caller]
    pub(crate) fn spawn_blocking_or_panic<F, R>(
        &self,
        f: F,
        at: &'static Location<'static>,
    ) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        match self.spawn_blocking_at(f, None, at) {
            Ok(handle) => handle,
            Err(error) => panic!("OS can't spawn worker thread: {error}"),
        }
    }

    /// As [`Handle::spawn`], for a task that has a name.
    pub(crate) fn spawn_named<F>(
        &self,
        future: F,
        name: &str,
        at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (handle, refused) = self.shared.spawn_named(future, name, at);
        if let Some(task) = refused {
            task.shut_down();
        }
        handle
    }

    /// As [`Handle::spawn_blocking`], for a call that may have a name.
    pub(crate) fn spawn_blocking_at<F, R>(
        &self,
        f: F,
        name: Option<&str>,
        at: &'static Location<'static>,
    ) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        context::note_offload();
        let pool = &self.shared.pool;
        let scheduler = blocking::NoSchedule::new(Some(Arc::clone(pool.counters())));
        let id = Id::next();
        let (task, handle) = match name {
            Some(name) => new_blocking_task(f, Named::new(scheduler, id, name), id, at),
            None => new_blocking_task(f, scheduler, id, at),
        };
        match pool.submit(task) {
            Err(blocking::Refused::NoThread(error)) => Err(error),
            // Refused by a pool that ends: the handle tells.
            Ok(()) | Err(blocking::Refused::ShutDown) => Ok(handle),
        }
    }

    /// Runs a future on this thread, inside this runtime.
    ///
    /// On a `current_thread` runtime this does not drive the runtime: timers
    /// and sockets need somebody in [`Runtime::block_on`](super::Runtime::block_on).
    ///
    /// # Panics
    /// Inside of asynchronous code, or when the future panics.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _inside = enter_blocking();
        let _entered = self.enter();
        let _beside = self.shared.compat.enter();
        self.block_on_parked(future, Location::caller())
    }

    /// Polls a future on this thread, which drives nothing else.
    fn block_on_parked<F: Future>(&self, future: F, at: &'static Location<'static>) -> F::Output {
        let _watched = self.shared.watch_blocked();
        if self.shared.ends_on_panic() {
            let future = pin!(future);
            return ThreadParker::block_on(UntilPanic::new(&self.shared, future), at);
        }
        ThreadParker::block_on(future, at)
    }

    /// How this runtime runs its tasks.
    #[must_use]
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        match self.shared.flavor() {
            Flavor::CurrentThread => RuntimeFlavor::CurrentThread,
            Flavor::MultiThread => RuntimeFlavor::MultiThread,
        }
    }

    /// The runtime's id.
    #[must_use]
    pub fn id(&self) -> super::Id {
        super::Id::of(&self.shared)
    }

    /// The runtime's name, if [`Builder::name`](super::Builder::name) gave it
    /// one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.shared.name()
    }

    /// Figures about this runtime.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(self.clone())
    }

    /// The seat on which a timer made on this thread belongs.
    pub(crate) fn timer_seat(&self) -> u32 {
        self.shared.home_seat()
    }

    pub(crate) fn with_wheel<R>(&self, seat: u32, f: impl FnOnce(&mut Wheel) -> R) -> R {
        self.shared.with_wheel(seat, f)
    }

    pub(crate) fn is_time_enabled(&self) -> bool {
        self.shared.is_time_enabled()
    }

    /// Whether the runtime has begun to end.
    pub(crate) fn is_shut_down(&self) -> bool {
        self.shared.is_stopping()
    }

    pub(crate) fn is_io_enabled(&self) -> bool {
        self.shared.is_io_enabled()
    }

    /// Runs a future on this thread, driving a `current_thread` runtime.
    #[track_caller]
    pub(super) fn block_on_driving<F: Future>(&self, future: F) -> F::Output {
        let _inside = enter_blocking();
        let _entered = self.enter();
        let _beside = self.shared.compat.enter();
        let at = Location::caller();
        match self.shared.flavor() {
            Flavor::CurrentThread => {
                let _pinned = context::set_pinned();
                if self.shared.ends_on_panic() {
                    let future = pin!(future);
                    let until = UntilPanic::new(&self.shared, future);
                    return scheduler::block_on_current(&self.shared, until, at);
                }
                scheduler::block_on_current(&self.shared, future, at)
            }
            Flavor::MultiThread => self.block_on_parked(future, at),
        }
    }
}

/// Marks this thread as driving futures.
#[track_caller]
fn enter_blocking() -> context::EnteredGuard {
    assert!(
        context::entered() == Entered::Outside,
        "Cannot start a runtime from within a runtime. This happens because a function (like \
         `block_on`) attempted to block the current thread while the thread is being used to \
         drive asynchronous tasks. If you are in an async function, use `.await` on the future \
         instead of blocking on it."
    );
    context::set_entered(Entered::Inside)
}

impl Drop for Leave {
    fn drop(&mut self) {
        let outer = self.outer.take();
        let depth = self.depth;
        let ended = CURRENT.try_with(|current| {
            let mut current = current.borrow_mut();
            if current.depth != depth {
                return Err(outer);
            }
            current.depth -= 1;
            Ok(std::mem::replace(&mut current.handle, outer))
        });
        // The handle is dropped after the borrow: it may be the last.
        if let Ok(Err(_)) = ended
            && !std::thread::panicking()
        {
            panic!(
                "`EnterGuard` values dropped out of order. Guards returned by \
                 `tokio::runtime::Handle::enter()` must be dropped in the reverse order as they \
                 were acquired."
            );
        }
    }
}

impl TryCurrentError {
    /// Whether no runtime was entered.
    #[must_use]
    pub fn is_missing_context(&self) -> bool {
        !self.is_torn_down
    }

    /// Whether the thread is being torn down.
    #[must_use]
    pub fn is_thread_local_destroyed(&self) -> bool {
        self.is_torn_down
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_torn_down {
            TORN_DOWN
        } else {
            NO_RUNTIME
        })
    }
}

impl fmt::Debug for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_torn_down {
            "ThreadLocalDestroyed"
        } else {
            "NoContext"
        };
        f.debug_struct("TryCurrentError")
            .field("kind", &kind)
            .finish()
    }
}

impl std::error::Error for TryCurrentError {}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterGuard").finish_non_exhaustive()
    }
}

// A panic in a task is contained and shown to whoever joins it; what is in a
// runtime is guarded by locks that no user code runs under.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("shared", &self.shared)
            .finish()
    }
}
