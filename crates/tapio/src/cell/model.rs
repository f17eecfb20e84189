//! A task under loom: every interleaving of waking, polling, completing,
//! joining, aborting and shutting down, as far as few threads show them.
//!
//! What is checked, beside each model's own assertions: the future, the
//! output, every copy of a join waker and the cell itself are dropped exactly
//! once, and no two threads are at one of them at the same time or without
//! one's work being visible to the other. Loom sees that at every use of the
//! cell's own fields, and through [`Guarded`], which stands for what the types
//! hold.
//!
//! `RUSTFLAGS="--cfg tapio_model" cargo test -p tapio --release --lib model`

#![expect(unsafe_code, reason = "a waker of which every copy is watched")]

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::{JoinError, JoinHandle, Notified, Schedule, TaskRef, new_task};
use crate::report::{Unobserved, on_report};
use crate::sync_facade::{HAS_OBJECTED, Mutex, Watch, noted};
use crate::task_id::Id;

/// Something that must be used by one thread at a time, or read by many, and
/// dropped once.
struct Guarded {
    watch: Watch,
    live: Arc<AtomicUsize>,
}

impl Guarded {
    fn new(live: &Arc<AtomicUsize>) -> Guarded {
        live.fetch_add(1, Ordering::Relaxed);
        Guarded {
            watch: Watch::new(),
            live: Arc::clone(live),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.watch.write();
        let before = self.live.fetch_sub(1, Ordering::Relaxed);
        noted(|| assert!(before > 0, "dropped twice"));
    }
}

/// A scheduler with one queue, and a list with room for one task.
struct Rig {
    queue: Mutex<VecDeque<Notified>>,
    owned: Mutex<Option<TaskRef>>,
    is_ready: AtomicBool,
    /// What the task does once it is ready. Set before there is one.
    ending: Ending,
    /// How many panics and errors the scheduler was told that nobody saw.
    unobserved: AtomicUsize,
    /// Of everything guarded; all are gone at the end.
    live: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Output,
    Error,
    Panic,
}

/// The scheduler as it lies in the task's cell: what uses it, and what frees
/// it, is seen.
struct InCell {
    rig: Arc<Rig>,
    guarded: Guarded,
}

impl Schedule for InCell {
    type Door = Arc<Rig>;

    fn door(&self) -> Arc<Rig> {
        self.guarded.watch.read();
        Arc::clone(&self.rig)
    }

    fn schedule(rig: Arc<Rig>, task: Notified) {
        rig.queue.lock().push_back(task);
    }

    fn release(&self, _: &TaskRef) -> Option<TaskRef> {
        self.guarded.watch.read();
        self.rig.owned.lock().take()
    }

    fn count_unobserved(&self, _: Unobserved) {
        self.guarded.watch.read();
        self.rig.unobserved.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a task gives.
type Output = Result<Guarded, Shown>;

/// An error, which is used while it is shown.
struct Shown(Guarded);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.watch.read();
        f.write_str("shown")
    }
}

/// Ready once the flag is set, which only a wake makes visible.
struct Job {
    guarded: Guarded,
    rig: Arc<Rig>,
    waker: Option<std::sync::mpsc::Sender<Waker>>,
}

impl Future for Job {
    type Output = Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Output> {
        self.guarded.watch.write();
        if let Some(waker) = self.waker.take() {
            let _ = waker.send(cx.waker().clone());
        }
        // Relaxed: what is on trial is the order that a wake brings.
        if !self.rig.is_ready.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let guarded = Guarded::new(&self.rig.live);
        match self.rig.ending {
            Ending::Output => Poll::Ready(Ok(guarded)),
            Ending::Error => Poll::Ready(Err(Shown(guarded))),
            // Without a word from the panic hook.
            Ending::Panic => resume_unwind(Box::new(guarded)),
        }
    }
}

impl Rig {
    fn new(ending: Ending) -> Rig {
        Rig {
            queue: Mutex::new(VecDeque::new()),
            owned: Mutex::new(None),
            is_ready: AtomicBool::new(false),
            ending,
            unobserved: AtomicUsize::new(0),
            live: Arc::default(),
        }
    }

    /// A task in the queue and on the list.
    fn spawn(self: &Arc<Self>) -> (JoinHandle<Output>, std::sync::mpsc::Receiver<Waker>) {
        let (send, waker) = std::sync::mpsc::channel();
        let job = Job {
            guarded: Guarded::new(&self.live),
            rig: Arc::clone(self),
            waker: Some(send),
        };
        let scheduler = InCell {
            rig: Arc::clone(self),
            guarded: Guarded::new(&self.live),
        };
        let (owned, notified, handle) = new_task(job, scheduler, Id::next(), Location::caller());
        *self.owned.lock() = Some(owned);
        self.queue.lock().push_back(notified);
        (handle, waker)
    }

    /// Runs what is queued.
    fn run(&self) {
        loop {
            let next = self.queue.lock().pop_front();
            let Some(task) = next else { return };
            if let Some(again) = task.run() {
                self.queue.lock().push_back(again);
            }
        }
    }

    fn make_ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    fn unobserved(&self) -> usize {
        self.unobserved.load(Ordering::Relaxed)
    }

    fn shut_down(&self) {
        let task = self.owned.lock().take();
        if let Some(task) = task {
            task.shut_down();
        }
    }
}

/// A join waker of which every copy is a thing of its own.
struct Copies {
    live: Arc<AtomicUsize>,
    wakes: AtomicUsize,
}

struct Copy {
    guarded: Guarded,
    all: Arc<Copies>,
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_copy);

impl Copies {
    fn waker(self: &Arc<Self>) -> Waker {
        let copy = Box::new(Copy {
            guarded: Guarded::new(&self.live),
            all: Arc::clone(self),
        });
        // SAFETY: the functions below keep the contract of `RawWaker`.
        unsafe { Waker::new(Box::into_raw(copy).cast_const().cast(), &VTABLE) }
    }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: `data` is that of a copy which its owner has not dropped.
    let copy = unsafe { &*data.cast::<Copy>() };
    copy.guarded.watch.read();
    let waker = std::mem::ManuallyDrop::new(copy.all.waker());
    RawWaker::new(waker.data(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as for `clone`; the copy is consumed.
    unsafe {
        wake_by_ref(data);
        drop_copy(data);
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as for `clone`.
    let copy = unsafe { &*data.cast::<Copy>() };
    copy.guarded.watch.read();
    copy.all.wakes.fetch_add(1, Ordering::Relaxed);
}

unsafe fn drop_copy(data: *const ()) {
    // SAFETY: as for `clone`; the copy is consumed.
    drop(unsafe { Box::from_raw(data.cast_mut().cast::<Copy>()) });
}

/// Somebody who waits for a handle.
struct Joiner {
    handle: JoinHandle<Output>,
    copies: Arc<Copies>,
}

impl Joiner {
    fn new(rig: &Rig, handle: JoinHandle<Output>) -> Joiner {
        let copies = Copies {
            live: Arc::clone(&rig.live),
            wakes: AtomicUsize::new(0),
        };
        Joiner {
            handle,
            copies: Arc::new(copies),
        }
    }

    /// Polls with a waker that the handle has not seen.
    fn poll(&mut self) -> Poll<Result<Output, JoinError>> {
        let waker = self.copies.waker();
        Pin::new(&mut self.handle).poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.copies.wakes.load(Ordering::Relaxed)
    }
}

/// Runs a model, and looks afterwards whether anything is left.
fn check(model: impl Fn(&Arc<Rig>) + Send + Sync + 'static) {
    check_ending(Ending::Output, model);
}

/// As `check`, for a task that ends that way.
fn check_ending(ending: Ending, model: impl Fn(&Arc<Rig>) + Send + Sync + 'static) {
    // A listener, so that reports do not go to standard error by the million.
    let _silence = on_report(|_| {});
    let mut builder = loom::model::Builder::new();
    // Races take few switches; without a bound three threads take hours.
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(move || {
        let rig = Arc::new(Rig::new(ending));
        model(&rig);
        rig.run();
        let (owned, live) = (rig.owned.lock().take(), Arc::clone(&rig.live));
        assert!(owned.is_none(), "the task has not ended");
        assert_eq!(Arc::strong_count(&rig), 1, "a cell or a door is left");
        assert_eq!(live.load(Ordering::Relaxed), 0, "something is left");
        assert!(!HAS_OBJECTED.load(Ordering::Relaxed), "see the panic above");
    });
}

/// A thread of the model, with the rig.
fn start<T: 'static>(
    rig: &Arc<Rig>,
    f: impl FnOnce(&Arc<Rig>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let rig = Arc::clone(rig);
    thread::spawn(move || f(&rig))
}

/// A task that waits, its waker, and its handle.
fn waiting(rig: &Arc<Rig>) -> (JoinHandle<Output>, Waker) {
    let (handle, waker) = rig.spawn();
    rig.run();
    (handle, waker.recv().expect("it was polled"))
}

mod scenes;
