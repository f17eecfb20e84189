//! A task's waker: a reference with a vtable of its own.

#![expect(unsafe_code, reason = "a `Waker` is made from a raw pointer")]

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::layout::Header;
use super::raw::TaskRef;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// A waker that holds no reference of its own, for the length of one poll.
pub(super) struct BorrowedWaker(ManuallyDrop<Waker>);

/// # Safety
/// The caller holds a reference to the task for as long as the result lives.
pub(super) unsafe fn borrowed_waker(header: NonNull<Header>) -> BorrowedWaker {
    let raw = RawWaker::new(header.as_ptr().cast_const().cast(), &VTABLE);
    // SAFETY: the vtable's functions keep the contract of `RawWaker`; not
    // dropping the waker leaves the caller's reference alone.
    BorrowedWaker(ManuallyDrop::new(unsafe { Waker::from_raw(raw) }))
}

/// Whether waking `waker` only queues a task: it is no foreign code.
pub(crate) fn is_task_waker(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &raw const VTABLE)
}

/// What is known of who may wake a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wakers {
    /// It runs or is about to: it may keep or drop wakers at this moment.
    Busy,
    /// It waits, and nobody but the asker's has a waker of it.
    None,
    /// It waits, and there are others that may wake or abort it.
    Others,
}

/// Who may wake the task of `waker` beside the `known` wakers that the asker
/// counts; `None` for the waker of something that is no task.
pub(crate) fn other_wakers(waker: &Waker, known: usize) -> Option<Wakers> {
    if !is_task_waker(waker) {
        return None;
    }
    // SAFETY: the vtable says that it was made here, and the caller's borrow
    // keeps its reference.
    let task = unsafe { borrow(waker.data()) };
    Some(task.header().state.other_wakers(known))
}

impl Deref for BorrowedWaker {
    type Target = Waker;
    fn deref(&self) -> &Waker {
        &self.0
    }
}

/// The reference behind a waker's pointer, not to be dropped here.
///
/// # Safety
/// `data` is that of a waker made here, which holds a reference.
unsafe fn borrow(data: *const ()) -> ManuallyDrop<TaskRef> {
    // SAFETY: passed on to the caller; the pointer came from a `NonNull`.
    ManuallyDrop::new(unsafe { own(data) })
}

/// The reference behind a waker's pointer.
///
/// # Safety
/// As for `borrow`, and the waker is consumed.
unsafe fn own(data: *const ()) -> TaskRef {
    // SAFETY: passed on to the caller.
    unsafe { TaskRef::from_raw(NonNull::new_unchecked(data.cast_mut().cast())) }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called by `Waker` with its own data.
    let reference = unsafe { borrow(data) };
    let copy = TaskRef::clone(&reference).into_raw();
    RawWaker::new(copy.as_ptr().cast_const().cast(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: called by `Waker` with its own data, which it gives up.
    unsafe { own(data) }.wake_owned();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: called by `Waker` with its own data.
    unsafe { borrow(data) }.wake();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: called by `Waker` with its own data, which it gives up.
    drop(unsafe { own(data) });
}
