//! References to a task, without its type.

#![expect(unsafe_code, reason = "a counted pointer to an untyped task")]

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;

use super::layout::Header;
use super::state::Wake;
use crate::task_id::Id;

/// One counted reference to a task.
pub(crate) struct TaskRef(NonNull<Header>);

/// A reference to a task that was woken, and with it the right to try to run
/// it. There is at most one for each task.
pub(crate) struct Notified(TaskRef);

// SAFETY: the header is shared by design: atomics and constants. What is not
// is guarded by the state word; futures that are not `Send` are only ever
// given to schedulers that run and drop them on their own thread.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// # Safety
    /// The caller owns one counted reference, which moves into the result.
    #[inline]
    pub(super) unsafe fn from_raw(header: NonNull<Header>) -> TaskRef {
        TaskRef(header)
    }

    pub(super) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    pub(super) fn as_raw(&self) -> NonNull<Header> {
        self.0
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: our reference keeps the cell alive, and the header is never
        // mutated but through atomics.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn id(&self) -> Id {
        self.header().id
    }

    /// Where the task was spawned.
    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.header().spawned_at
    }

    /// Wakes the task.
    #[inline]
    pub(crate) fn wake(&self) {
        match self.header().state.wake_by_ref() {
            Wake::Nothing => {}
            // SAFETY: the notification's reference was counted just now.
            Wake::Schedule => unsafe { (self.header().vtable.schedule)(self.0) },
            Wake::Dealloc => unreachable!("our reference is counted"),
        }
    }

    /// Wakes the task with this reference.
    pub(crate) fn wake_owned(self) {
        match self.header().state.wake_by_value() {
            Wake::Nothing => {
                // The reference was dropped by the transition.
                self.into_raw();
            }
            Wake::Schedule => {
                let vtable = self.header().vtable;
                // SAFETY: our reference has become the notification's.
                unsafe { (vtable.schedule)(self.into_raw()) };
            }
            Wake::Dealloc => {
                let vtable = self.header().vtable;
                // SAFETY: the transition dropped the last reference, ours.
                unsafe { (vtable.free)(self.into_raw()) };
            }
        }
    }

    /// Has the task dropped the next time that it would run, which is soon.
    pub(crate) fn abort(&self) {
        if self.header().state.abort() {
            // SAFETY: the notification's reference was counted just now.
            unsafe { (self.header().vtable.schedule)(self.0) };
        }
    }

    /// Drops the task's future now, unless it runs at this moment: then its
    /// thread does when the poll ends.
    pub(crate) fn shut_down(self) {
        let vtable = self.header().vtable;
        // SAFETY: consumes our reference.
        unsafe { (vtable.shut_down)(self.into_raw()) };
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> TaskRef {
        self.header().state.add_reference();
        TaskRef(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        if self.header().state.drop_references(1) {
            // SAFETY: that was the last reference.
            unsafe { (self.header().vtable.free)(self.0) };
        }
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.id())
            .field("spawned_at", &format_args!("{}", self.spawned_at()))
            .field("state", &self.header().state)
            .finish()
    }
}

impl Notified {
    /// # Safety
    /// The caller owns the notification's counted reference.
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Notified {
        // SAFETY: passed on to the caller.
        Notified(unsafe { TaskRef::from_raw(header) })
    }

    /// Polls the task once. Gives it back if it was woken meanwhile and must
    /// be scheduled again.
    ///
    /// Futures that are not `Send` must be run on their own thread: whoever
    /// keeps such tasks answers for that.
    #[must_use = "a task that is not scheduled again is lost"]
    pub(crate) fn run(self) -> Option<Notified> {
        let vtable = self.0.header().vtable;
        let header = self.0.into_raw();
        // SAFETY: consumes the notification's reference; if the answer is
        // true, that reference is a notification's again.
        unsafe { (vtable.poll)(header).then(|| Notified::from_raw(header)) }
    }

    /// The pointer, which owns the notification's reference.
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        self.0.into_raw()
    }

    /// Where the task was spawned.
    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.0.spawned_at()
    }

    /// The reference by itself, without the right to run.
    pub(crate) fn into_task(self) -> TaskRef {
        self.0
    }
}

impl fmt::Debug for Notified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
