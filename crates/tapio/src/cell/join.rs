//! Waiting for a task, and ending it.

#![expect(unsafe_code, reason = "the handle owns the join waker and the output")]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::error::JoinError;
use super::raw::TaskRef;
use super::unobserved::ShowError;
use crate::coop;
use crate::task_id::Id;

/// A spawned task's result, as a future.
///
/// Dropping the handle detaches the task: it goes on, and its result is
/// dropped when it ends. A panic or an error that is lost this way is
/// reported; [the guard's documentation](crate::guard#errors-that-nobody-looks-at)
/// says which. [`JoinHandle::report_errors`] detaches a task as well, and has
/// its error reported whatever its type.
///
/// # Cancel safety
/// Waiting for a handle by reference (`&mut handle`) loses nothing when
/// dropped: the result stays with the task.
///
/// # Examples
/// ```
/// # tapio::runtime::Runtime::new().unwrap().block_on(async {
/// let handle = tapio::spawn(async { 1 + 1 });
/// assert_eq!(handle.await?, 2);
/// # Ok::<_, tapio::task::JoinError>(())
/// # }).unwrap();
/// ```
pub struct JoinHandle<T> {
    /// Dropped by hand: a transition of the state may drop the reference too.
    task: ManuallyDrop<TaskRef>,
    output: PhantomData<T>,
}

// SAFETY: the handle hands the output to whoever has the handle, so it may go
// where the output may; a shared handle gives no access to the output.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    /// `task` is the one reference counted for the join handle of a task
    /// whose output is `T`.
    pub(super) unsafe fn new(task: TaskRef) -> JoinHandle<T> {
        JoinHandle {
            task: ManuallyDrop::new(task),
            output: PhantomData,
        }
    }

    /// Ends the task at its next await point, or now if it waits at one.
    ///
    /// Awaiting the handle then gives a [`JoinError`] that is cancelled,
    /// unless the task came to its end before. A blocking task that has begun
    /// cannot be aborted.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// A handle that can end the task, and no more.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            task: TaskRef::clone(&self.task),
        }
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.task.id()
    }

    /// Drops what the task was to do, here and now, unless it has begun.
    pub(crate) fn shut_down(&self) {
        TaskRef::clone(&self.task).shut_down();
    }

    #[cold]
    fn is_inherited(&self) -> bool {
        // SAFETY: our reference keeps the cell alive.
        unsafe { (self.task.header().vtable.is_inherited)(self.task.as_raw()) }
    }

    /// Whether the task is complete; if not, `waker` is told when it is.
    pub(crate) fn poll_complete(&self, waker: &Waker) -> bool {
        let header = self.task.header();
        let (complete, has_waker) = header.state.join_view();
        if complete {
            return true;
        }
        if has_waker && !header.state.take_join_waker() {
            return true;
        }
        // SAFETY: our reference keeps the cell alive; only an address.
        let field = unsafe { (header.vtable.join_waker)(self.task.as_raw()) };
        // SAFETY: JOIN_WAKER is unset, so the field is ours alone.
        let field = unsafe { &mut *field.as_ref().get() };
        let old = match field {
            Some(current) if current.will_wake(waker) => None,
            _ => field.replace(waker.clone()),
        };
        let set = header.state.set_join_waker();
        if !set {
            // Completed in between, and JOIN_WAKER is unset still: nobody
            // else will look at the field again.
            *field = None;
        }
        drop(old);
        !set
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let spent = ready!(coop::poll_proceed(cx));
        if !self.poll_complete(cx.waker()) {
            if tapio_driver::is_child() && self.is_inherited() {
                // The parent runs it, and tells nobody here.
                return Poll::Ready(Err(JoinError::cancelled(self.task.id())));
            }
            return Poll::Pending;
        }
        // A task that ends with its runtime is not to see "cancelled" here.
        ready!(coop::poll_ending(cx));
        let mut output: Option<Result<T, JoinError>> = None;
        // SAFETY: complete, and the handle has the output, whose type is `T`
        // by the contract of `new`.
        unsafe {
            let read = self.task.header().vtable.read_output;
            read(self.task.as_raw(), (&raw mut output).cast());
        }
        spent.made_progress();
        Poll::Ready(output.expect("`read_output` fills it or panics"))
    }
}

impl<T> JoinHandle<T> {
    /// Drops the handle; should the task be complete, `show` finds the error
    /// in its output.
    pub(super) fn drop_showing(self, show: ShowError) {
        ManuallyDrop::new(self).drop_parts(Some(show));
    }

    /// To be called once, by whoever drops the handle.
    #[inline]
    fn drop_parts(&mut self, show: Option<ShowError>) {
        let header = self.task.header();
        if header.state.drop_fresh_handle() {
            // The reference went with the transition; the task may be gone.
            return;
        }
        let dropped = header.state.drop_handle();
        if dropped.drop_output {
            // SAFETY: complete, so the output is ours, whether read or not.
            unsafe { (header.vtable.drop_output)(self.task.as_raw(), show) };
        }
        if dropped.drop_waker {
            // SAFETY: the transition left the field to us.
            unsafe {
                let field = (header.vtable.join_waker)(self.task.as_raw());
                drop((*field.as_ref().get()).take());
            }
        }
        // SAFETY: dropped once, here, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.task) };
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.drop_parts(None);
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.task.id())
            .finish()
    }
}

/// Ends a task from wherever it is held; any number of them may exist.
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskRef,
}

impl AbortHandle {
    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.task.id()
    }
}

impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.task.id())
            .finish()
    }
}
