//! What is done to a task: polled, ended, read. Typed once per future, called
//! through the vtable.
//!
//! Every function takes a header whose cell was allocated for exactly these
//! types, which the vtable in that header vouches for, and is alive, since
//! the caller holds a reference. That is the safety contract of them all.

#![expect(unsafe_code, reason = "untyped references are given their types back")]

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::error::JoinError;
use super::layout::{Cell, Header, Schedule};
use super::state::{Completed, EndPoll, StartPoll};
use super::unobserved::{Found, ShowError};
use super::waker::borrowed_waker;
use super::{Notified, TaskRef};
use crate::context;
use crate::report::TaskInfo;

/// The cell behind a header.
///
/// # Safety
/// The module's contract.
unsafe fn cell<'a, F: Future + 'static, S>(header: NonNull<Header>) -> &'a Cell<F, S> {
    // SAFETY: the contract: right types, alive. All mutation goes through the
    // `UnsafeCell`s inside, by the rules in `layout.rs`.
    unsafe { header.cast::<Cell<F, S>>().as_ref() }
}

pub(super) unsafe fn poll<F: Future + 'static, S: Schedule>(header: NonNull<Header>) -> bool {
    // SAFETY: the module's contract.
    let cell = unsafe { cell::<F, S>(header) };
    let state = &cell.header().state;
    // Until the end, and so also while a waker of the handle's is called that
    // is no task's: whatever foreign code does here, the guard sees it.
    let _entered = context::enter_task(cell.header().id.get(), cell.header().spawned_at);
    match state.start_poll() {
        StartPoll::Poll => {}
        StartPoll::Cancel => {
            // SAFETY: `start_poll` gave us RUNNING.
            unsafe { cancel(cell) };
            complete(cell, header);
            return false;
        }
        StartPoll::Nothing => return false,
        StartPoll::Dealloc => {
            // SAFETY: that was the last reference.
            unsafe { (cell.header().vtable.free)(header) };
            return false;
        }
    }
    // SAFETY: we hold a reference for as long as the borrowed waker lives.
    let waker = unsafe { borrowed_waker(header) };
    let mut cx = Context::from_waker(&waker);
    // SAFETY: `start_poll` gave us RUNNING.
    let polled = catch_unwind(AssertUnwindSafe(|| unsafe { poll_or_drop(cell, &mut cx) }));
    let output = match polled {
        Ok(Poll::Pending) => match state.end_poll() {
            EndPoll::Idle => return false,
            EndPoll::Again => return true,
            EndPoll::Cancel => {
                // SAFETY: `end_poll` left RUNNING with us.
                unsafe { cancel(cell) };
                complete(cell, header);
                return false;
            }
            EndPoll::Dealloc => {
                // SAFETY: that was the last reference.
                unsafe { (cell.header().vtable.free)(header) };
                return false;
            }
        },
        Ok(Poll::Ready(output)) => Ok(output),
        Err(payload) => Err(panicked(cell, payload)),
    };
    // A future whose drop panics loses its output: that panic is the result.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: we still hold RUNNING.
        unsafe { cell.clear() };
        output
    }));
    let output = ended.unwrap_or_else(|payload| Err(panicked(cell, payload)));
    // SAFETY: as above; the stage is empty, so nothing is dropped here.
    unsafe { cell.store(output) };
    complete(cell, header);
    false
}

/// A poll panicked: tells the scheduler, which may end everything else.
#[cold]
fn panicked<F: Future + 'static, S: Schedule>(
    cell: &Cell<F, S>,
    payload: Box<dyn Any + Send>,
) -> JoinError {
    // First, while the place of the panic is known.
    let error = JoinError::panic(cell.header().id, payload);
    cell.scheduler.poll_panicked();
    error
}

/// Polls the future. One that panics is dropped while the panic unwinds, so
/// that its destructors see one.
///
/// # Safety
/// The caller holds RUNNING, and the future was not dropped.
unsafe fn poll_or_drop<F: Future + 'static, S: Schedule>(
    cell: &Cell<F, S>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    struct Unwinding<'a, F: Future + 'static, S: Schedule>(Option<&'a Cell<F, S>>);

    impl<F: Future + 'static, S: Schedule> Drop for Unwinding<'_, F, S> {
        fn drop(&mut self) {
            if let Some(cell) = self.0 {
                // SAFETY: the poll has ended and `RUNNING` is held still.
                unsafe { cell.clear() };
            }
        }
    }

    let mut unwinding = Unwinding(Some(cell));
    // SAFETY: passed on to the caller.
    let polled = unsafe { cell.poll(cx) };
    unwinding.0 = None;
    polled
}

/// Drops the future and stores why. The caller has entered the task.
///
/// # Safety
/// The caller holds RUNNING.
unsafe fn cancel<F: Future + 'static, S: Schedule>(cell: &Cell<F, S>) {
    let id = cell.header().id;
    // SAFETY: passed on to the caller.
    let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { cell.clear() }));
    let error = match dropped {
        Ok(()) => JoinError::cancelled(id),
        Err(payload) => JoinError::panic(id, payload),
    };
    // SAFETY: passed on to the caller.
    unsafe { cell.store(Err(error)) };
}

/// The output is stored: tells the handle and gives up the running reference
/// and the owning list's.
fn complete<F: Future + 'static, S: Schedule>(cell: &Cell<F, S>, header: NonNull<Header>) {
    let state = &cell.header().state;
    // Whatever a foreign waker or an output's drop does, the references are
    // given up below; its panic is of no task's making and ends here.
    let _ = catch_unwind(AssertUnwindSafe(|| match state.complete() {
        Completed::DropOutput => {
            // SAFETY: COMPLETE without interest leaves the stage to us.
            unsafe { drop_unread(cell, None) };
        }
        Completed::Nobody => {}
        Completed::WakeHandle => {
            // SAFETY: we completed it and JOIN_WAKER was set.
            unsafe { cell.wake_join() };
        }
    }));
    // SAFETY: the running reference, which we own, becomes a `TaskRef`.
    let this = unsafe { TaskRef::from_raw(header) };
    let owned = cell.scheduler.release(&this);
    let count = if owned.is_some() { 2 } else { 1 };
    this.into_raw();
    owned.map(TaskRef::into_raw);
    if state.drop_references(count) {
        // SAFETY: those were the last references.
        unsafe { (cell.header().vtable.free)(header) };
    }
}

pub(super) unsafe fn schedule<F: Future + 'static, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the module's contract; the borrow of the cell ends here.
    let door = unsafe { cell::<F, S>(header) }.scheduler.door();
    // SAFETY: the notification's reference, counted by the caller, moves into
    // the `Notified`.
    S::schedule(door, unsafe { Notified::from_raw(header) });
}

pub(super) unsafe fn read_output<F: Future + 'static, S: Schedule>(
    header: NonNull<Header>,
    out: *mut (),
) {
    // SAFETY: the caller is the join handle of this task, so `out` points to
    // its `Option<Result<F::Output, JoinError>>`, and it saw COMPLETE, so the
    // stage is its own.
    unsafe {
        let out = out.cast::<Option<Result<F::Output, JoinError>>>();
        *out = Some(cell::<F, S>(header).take());
    }
}

pub(super) unsafe fn drop_output<F: Future + 'static, S: Schedule>(
    header: NonNull<Header>,
    show: Option<ShowError>,
) {
    // SAFETY: the module's contract; the caller is the join handle and saw
    // COMPLETE.
    unsafe { drop_unread(cell::<F, S>(header), show) };
}

/// Drops the output, if nobody has read it, and reports an error or a panic
/// that is in it. Panics of foreign code end here: they would otherwise
/// surface in whoever happened to drop a handle.
///
/// # Safety
/// The task is complete, and the stage the caller's alone.
#[inline]
unsafe fn drop_unread<F: Future + 'static, S: Schedule>(
    cell: &Cell<F, S>,
    show: Option<ShowError>,
) {
    // SAFETY: passed on to the caller.
    if !unsafe { cell.is_trivial() } {
        // SAFETY: as above.
        unsafe { look_and_drop(cell, show) };
    }
}

/// As `drop_unread`, where there may be something to drop or to say.
///
/// # Safety
/// As for `drop_unread`.
unsafe fn look_and_drop<F: Future + 'static, S: Schedule>(
    cell: &Cell<F, S>,
    show: Option<ShowError>,
) {
    let (id, at) = (cell.header().id, cell.header().spawned_at);
    let _entered = context::enter_task(id.get(), at);
    // SAFETY: passed on to the caller.
    let found = catch_unwind(AssertUnwindSafe(|| unsafe { cell.look(show) }));
    // SAFETY: as above.
    let _ = catch_unwind(AssertUnwindSafe(|| unsafe { cell.clear() }));
    if let Ok(Some(found)) = found {
        tell(cell, found, TaskInfo::new(id, at));
    }
}

/// Counts and reports what was in an output that is gone.
#[cold]
fn tell<F: Future + 'static, S: Schedule>(cell: &Cell<F, S>, found: Found, task: TaskInfo) {
    let told = catch_unwind(AssertUnwindSafe(|| {
        if let Some(what) = found.counted() {
            cell.scheduler.count_unobserved(what);
        }
        if let Some(report) = found.into_report(task) {
            report.deliver();
        }
    }));
    // A log that panics leaves nobody to tell.
    drop(told);
}

pub(super) unsafe fn shut_down<F: Future + 'static, S: Schedule>(header: NonNull<Header>) {
    // SAFETY: the module's contract.
    let cell = unsafe { cell::<F, S>(header) };
    if cell.header().state.start_shutdown() {
        let _entered = context::enter_task(cell.header().id.get(), cell.header().spawned_at);
        // SAFETY: `start_shutdown` gave us RUNNING.
        unsafe { cancel(cell) };
        complete(cell, header);
    } else {
        // It runs elsewhere, and its thread will see that it is cancelled.
        // SAFETY: the consumed reference.
        drop(unsafe { TaskRef::from_raw(header) });
    }
}
