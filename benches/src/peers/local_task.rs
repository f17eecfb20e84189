//! The floor for tasks: one allocation for each, no atomic operation.
//!
//! Everything here stays on one thread, wakers included. That is a promise of
//! [`super::executor`], which starts no thread; a runtime could not make it.
#![expect(unsafe_code, reason = "wakers that are counted without atomics")]

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    mem::ManuallyDrop,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

thread_local! {
    static QUEUE: RefCell<VecDeque<Ready>> = const { RefCell::new(VecDeque::new()) };
}

/// A task that is to be polled: a counted reference and the function that knows
/// its type.
struct Ready {
    task: *const (),
    run: unsafe fn(*const ()),
}

struct Task<F: Future> {
    /// Pinned from the first poll; dropped in place when it has finished.
    future: RefCell<Option<F>>,
    output: Cell<Option<F::Output>>,
    waiter: Cell<Option<Waker>>,
    queued: Cell<bool>,
}

/// Waits for a task's output.
pub(crate) struct Handle<F: Future>(Rc<Task<F>>);

/// Queues a task that runs `future`.
pub(crate) fn spawn<F: Future + 'static>(future: F) -> Handle<F> {
    let task = Rc::new(Task {
        future: RefCell::new(Some(future)),
        output: Cell::new(None),
        waiter: Cell::new(None),
        queued: Cell::new(false),
    });
    Task::schedule(&task);
    Handle(task)
}

/// Polls the task that is next in the queue; false when there is none.
pub(crate) fn run_next() -> bool {
    let Some(ready) = QUEUE.with_borrow_mut(VecDeque::pop_front) else {
        return false;
    };
    // SAFETY: the pair was made by Task::schedule, which gave the reference away.
    unsafe { (ready.run)(ready.task) };
    true
}

impl<F: Future + 'static> Task<F> {
    const WAKER: RawWakerVTable = RawWakerVTable::new(
        Self::clone_waker,
        Self::wake,
        Self::wake_by_ref,
        Self::drop_waker,
    );

    fn schedule(task: &Rc<Self>) {
        if !task.queued.replace(true) {
            let task = Rc::into_raw(Rc::clone(task)).cast();
            QUEUE.with_borrow_mut(|queue| {
                queue.push_back(Ready {
                    task,
                    run: Self::run,
                })
            });
        }
    }

    /// # Safety
    /// `task` is a counted reference to a `Task<F>`, which this takes over.
    unsafe fn run(task: *const ()) {
        // SAFETY: by the contract of this function.
        let task = unsafe { Rc::from_raw(task.cast::<Self>()) };
        task.queued.set(false);
        // SAFETY: the table belongs to this type; the reference that the waker
        // stands for is `task`, which lives longer, so the waker is not dropped.
        let waker = unsafe { Waker::new(Rc::as_ptr(&task).cast(), &Self::WAKER) };
        let waker = ManuallyDrop::new(waker);
        let mut place = task.future.borrow_mut();
        let Some(future) = place.as_mut() else {
            return;
        };
        // SAFETY: the future is inside an Rc that never gives it out, and is only
        // ever overwritten, that is dropped, where it lies.
        let future = unsafe { Pin::new_unchecked(future) };
        if let Poll::Ready(output) = future.poll(&mut Context::from_waker(&waker)) {
            *place = None;
            task.output.set(Some(output));
            if let Some(waiter) = task.waiter.take() {
                waiter.wake();
            }
        }
    }

    unsafe fn clone_waker(task: *const ()) -> RawWaker {
        // SAFETY: a waker holds a counted reference to a Task<F>, on this thread.
        unsafe { Rc::increment_strong_count(task.cast::<Self>()) };
        RawWaker::new(task, &Self::WAKER)
    }

    unsafe fn wake(task: *const ()) {
        // SAFETY: the waker's reference is handed over to this call.
        Self::schedule(&unsafe { Rc::from_raw(task.cast::<Self>()) });
    }

    unsafe fn wake_by_ref(task: *const ()) {
        // SAFETY: the waker keeps its reference, hence this one is not dropped.
        let task = ManuallyDrop::new(unsafe { Rc::from_raw(task.cast::<Self>()) });
        Self::schedule(&task);
    }

    unsafe fn drop_waker(task: *const ()) {
        // SAFETY: the waker's reference ends here.
        drop(unsafe { Rc::from_raw(task.cast::<Self>()) });
    }
}

impl<F: Future> Future for Handle<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Some(output) = self.0.output.take() {
            return Poll::Ready(output);
        }
        self.0.waiter.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}
