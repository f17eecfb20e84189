//! Where a task lives: one allocation with its state, its future and later
//! its output.
//!
//! Access rules, by field:
//! - `header`: shared; every field is atomic or never changes.
//! - `scheduler`: never changes.
//! - `stage`: exclusive to the thread that holds `RUNNING`; after `COMPLETE`,
//!   exclusive to the join handle while `JOIN_INTEREST` is set, and to the
//!   completing thread otherwise; to whoever frees the cell at last.
//! - `join_waker`: exclusive to the join handle while `JOIN_WAKER` is unset,
//!   and to the completing thread while it is set.

#![expect(
    unsafe_code,
    reason = "one allocation shared by untyped references; the state word says who may touch what"
)]

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use super::error::JoinError;
use super::harness;
use super::state::State;
use super::unobserved::{self, Found, ShowError};
use super::{Notified, TaskRef};
use crate::report::Unobserved;
use crate::sync_facade::UnsafeCell;
use crate::task_id::Id;

/// Who queues a task when it is woken, and who keeps the list of all.
pub(crate) trait Schedule: Send + Sync + 'static {
    /// What it takes to queue a task from this thread without touching the
    /// task any more: once queued, another thread may run and free it, and
    /// the scheduler that lives in it.
    type Door;

    fn door(&self) -> Self::Door;

    /// Puts a woken task where it will be run.
    fn schedule(door: Self::Door, task: Notified);

    /// The task is complete: takes it off the list that owns it. Gives back
    /// the list's reference, if the list still had it.
    fn release(&self, task: &TaskRef) -> Option<TaskRef>;

    /// Whether the task is the parent's, and this a child by `fork`.
    fn is_inherited(&self) -> bool {
        false
    }

    /// A poll of a task panicked, whoever will look at that.
    fn poll_panicked(&self) {}

    /// A panic or an error is dropped and was looked at by nobody. No lock is
    /// held.
    fn count_unobserved(&self, what: Unobserved);
}

/// The part of a task that does not depend on its type.
#[repr(C)]
pub(crate) struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    pub(super) id: Id,
    pub(super) spawned_at: &'static Location<'static>,
    /// The task's key in the list that owns it, written before the task is
    /// shared and read under that list's lock.
    owner_key: AtomicU32,
    owner_shard: AtomicU32,
}

/// A task's operations, by type.
pub(super) struct Vtable {
    /// Polls; the caller's `Notified` is consumed. Whether it is one again.
    pub(super) poll: unsafe fn(NonNull<Header>) -> bool,
    /// Schedules a `Notified` whose reference the caller has counted.
    pub(super) schedule: unsafe fn(NonNull<Header>),
    /// Moves the output out, into an `Option<Result<T, JoinError>>`.
    pub(super) read_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output, if it was not read, and reports what it was.
    pub(super) drop_output: unsafe fn(NonNull<Header>, Option<ShowError>),
    /// Ends the task at once if it is idle; consumes a reference.
    pub(super) shut_down: unsafe fn(NonNull<Header>),
    /// Whether the task is the parent's, and this a child by `fork`.
    pub(super) is_inherited: unsafe fn(NonNull<Header>) -> bool,
    pub(super) join_waker: unsafe fn(NonNull<Header>) -> NonNull<UnsafeCell<Option<Waker>>>,
    pub(super) free: unsafe fn(NonNull<Header>),
}

#[repr(C)]
pub(super) struct Cell<F: Future, S> {
    header: Header,
    pub(super) scheduler: S,
    stage: UnsafeCell<Stage<F>>,
    join_waker: UnsafeCell<Option<Waker>>,
}

enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Gone,
}

impl Header {
    pub(crate) fn set_owner(&self, shard: u32, key: u32) {
        self.owner_key.store(key, Ordering::Relaxed);
        self.owner_shard.store(shard, Ordering::Relaxed);
    }

    /// The shard and key of the owning list, as `set_owner` left them.
    pub(crate) fn owner(&self) -> (u32, u32) {
        (
            self.owner_shard.load(Ordering::Relaxed),
            self.owner_key.load(Ordering::Relaxed),
        )
    }
}

impl<F: Future + 'static, S: Schedule> Cell<F, S> {
    const VTABLE: Vtable = Vtable {
        poll: harness::poll::<F, S>,
        schedule: harness::schedule::<F, S>,
        read_output: harness::read_output::<F, S>,
        drop_output: harness::drop_output::<F, S>,
        shut_down: harness::shut_down::<F, S>,
        is_inherited: Self::is_inherited,
        join_waker: Self::join_waker,
        free: Self::free,
    };

    pub(super) fn allocate(
        future: F,
        scheduler: S,
        id: Id,
        spawned_at: &'static Location<'static>,
        references: usize,
    ) -> NonNull<Header> {
        let cell = Box::new(Cell {
            header: Header {
                state: State::new(references),
                vtable: &Self::VTABLE,
                id,
                spawned_at,
                owner_key: AtomicU32::new(u32::MAX),
                owner_shard: AtomicU32::new(0),
            },
            scheduler,
            stage: UnsafeCell::new(Stage::Future(future)),
            join_waker: UnsafeCell::new(None),
        });
        NonNull::from(Box::leak(cell)).cast()
    }

    unsafe fn free(header: NonNull<Header>) {
        // SAFETY: the caller dropped the last reference, so nobody else can
        // reach the cell; it was made by `allocate` for these very types,
        // which the vtable vouches for.
        drop(unsafe { Box::from_raw(header.cast::<Self>().as_ptr()) });
    }

    unsafe fn is_inherited(header: NonNull<Header>) -> bool {
        // SAFETY: the caller holds a reference, so the cell is alive; the
        // scheduler in it is shared and never changes.
        unsafe { header.cast::<Self>().as_ref() }
            .scheduler
            .is_inherited()
    }

    unsafe fn join_waker(header: NonNull<Header>) -> NonNull<UnsafeCell<Option<Waker>>> {
        // SAFETY: the caller holds a reference, so the cell is alive; only an
        // address inside of it is computed.
        unsafe {
            let field = &raw mut (*header.cast::<Self>().as_ptr()).join_waker;
            NonNull::new_unchecked(field)
        }
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Polls the future.
    ///
    /// # Safety
    /// The caller holds `RUNNING`, and the future was not dropped.
    pub(super) unsafe fn poll(&self, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `RUNNING` makes the stage ours alone.
        let stage = unsafe { &mut *self.stage.get() };
        let Stage::Future(future) = stage else {
            unreachable!("a task that runs still has its future");
        };
        // SAFETY: the cell is on the heap and never moves, and the future is
        // dropped in place before the stage changes.
        let future = unsafe { Pin::new_unchecked(future) };
        future.poll(cx)
    }

    /// Drops what is in the stage, then stores `output`.
    ///
    /// # Safety
    /// The stage is the caller's alone, by the rules above.
    pub(super) unsafe fn store(&self, output: Result<F::Output, JoinError>) {
        // SAFETY: passed on to the caller.
        unsafe { *self.stage.get() = Stage::Output(output) };
    }

    /// Drops what is in the stage.
    ///
    /// # Safety
    /// As for `store`.
    pub(super) unsafe fn clear(&self) {
        // SAFETY: passed on to the caller. Assignment drops the old stage in
        // place, as pinning demands.
        unsafe { *self.stage.get() = Stage::Gone };
    }

    /// Whether dropping what is in the stage does nothing, and nobody could
    /// have anything to say about it.
    ///
    /// # Safety
    /// As for `store`.
    #[inline]
    pub(super) unsafe fn is_trivial(&self) -> bool {
        // SAFETY: passed on to the caller.
        match unsafe { &*self.stage.get() } {
            Stage::Gone => true,
            Stage::Output(Ok(_)) => {
                !std::mem::needs_drop::<F::Output>() && !unobserved::is_result::<F::Output>()
            }
            Stage::Future(_) | Stage::Output(Err(_)) => false,
        }
    }

    /// What is in the output, if it is there still. Calls foreign code.
    ///
    /// # Safety
    /// As for `store`.
    pub(super) unsafe fn look(&self, show: Option<ShowError>) -> Option<Found> {
        // SAFETY: passed on to the caller.
        match unsafe { &*self.stage.get() } {
            Stage::Output(output) => unobserved::look(output, show, self.header.state.is_aborted()),
            Stage::Future(_) | Stage::Gone => None,
        }
    }

    /// Moves the output out.
    ///
    /// # Safety
    /// As for `store`; the task is complete.
    pub(super) unsafe fn take(&self) -> Result<F::Output, JoinError> {
        // SAFETY: passed on to the caller.
        match std::mem::replace(unsafe { &mut *self.stage.get() }, Stage::Gone) {
            Stage::Output(output) => output,
            _ => panic!("a join handle was polled after it had given its result"),
        }
    }

    /// Wakes the join handle.
    ///
    /// # Safety
    /// The caller completed the task and saw `JOIN_WAKER` set.
    pub(super) unsafe fn wake_join(&self) {
        // SAFETY: from then on the field is the caller's alone: the handle
        // takes `JOIN_WAKER` back before it touches the field, and can do so
        // only while the task is not complete.
        if let Some(waker) = unsafe { (*self.join_waker.get()).take() } {
            waker.wake();
        }
    }
}
