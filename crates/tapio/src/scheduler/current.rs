//! A `current_thread` runtime: whoever blocks on it is its worker.

use std::future::Future;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use tapio_driver::Remote;

use super::here;
use super::shared::Shared;
use super::worker::{Core, Worker};
use crate::context;
use crate::coop;
use crate::guard::Watching;
use crate::main_future::{self, Sleeper};
use crate::thread_parker::ThreadParker;

/// The only seat of a `current_thread` runtime.
const SEAT: u32 = 0;

/// The one worker's queue while nobody blocks on the runtime, and those who
/// wait to drive it.
#[derive(Debug, Default)]
pub(super) struct CoreCell(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    core: Option<Core>,
    is_taken: bool,
    waiting: Vec<Arc<ThreadParker>>,
}

/// Wakes the main future: it is polled by the driving thread.
struct MainWaker {
    is_woken: AtomicBool,
    remote: Arc<dyn Remote>,
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the acquire swap in `drive`.
        self.is_woken.store(true, Ordering::Release);
        self.remote.unpark();
    }
}

impl Sleeper for MainWaker {
    fn is_woken(&self) -> bool {
        self.is_woken.load(Ordering::Acquire)
    }
}

/// Drives the runtime on this thread until `future` is done. While another
/// thread drives it, only `future` is polled here.
pub(crate) fn block_on_current<F: Future>(
    shared: &Arc<Shared>,
    future: F,
    at: &'static Location<'static>,
) -> F::Output {
    let mut future = pin!(future);
    if let Some(core) = shared.current.take(shared) {
        return drive(shared, core, future, at);
    }
    let parker = Arc::new(ThreadParker::new());
    let waker = Waker::from(Arc::clone(&parker));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = coop::with_full(|| future.as_mut().poll(&mut cx)) {
            shared.current.stop_waiting(&parker);
            return output;
        }
        if let Some(core) = shared.current.take_or_wait(shared, &parker) {
            return drive(shared, core, future, at);
        }
        parker.park();
    }
}

fn drive<F: Future>(
    shared: &Arc<Shared>,
    core: Core,
    mut future: Pin<&mut F>,
    at: &'static Location<'static>,
) -> F::Output {
    let worker = Rc::new(Worker::new(Arc::clone(shared), core));
    let driving = Driving {
        watched: shared.watch_worker(worker.slot()),
        current: Some(here::set_worker(Some(Rc::clone(&worker)))),
        worker: Some(worker),
    };
    let worker = driving.worker.as_ref().expect("taken only when dropped");
    worker.take_seat(SEAT);
    let main = Arc::new(MainWaker {
        is_woken: AtomicBool::new(true),
        remote: Arc::clone(shared.seat(SEAT).remote()),
    });
    let entered = main_future::enter(&main);
    let mut cx = Context::from_waker(entered.waker());
    loop {
        if worker.seat().is_none() {
            // Another thread stood in while something here took too long.
            worker.take_seat(SEAT);
        }
        if main.is_woken.load(Ordering::Relaxed) {
            let _polling = entered.polling();
            // Acquire pairs with the release in `wake_by_ref`; release with
            // the acquire in `Sleeper::is_woken`: whoever does not see the
            // wake any more sees the poll.
            main.is_woken.swap(false, Ordering::AcqRel);
            let running = context::enter_blocked_on(at);
            let polled = coop::with_full(|| future.as_mut().poll(&mut cx));
            drop(running);
            if let Poll::Ready(output) = polled {
                return output;
            }
        }
        for _ in 0..shared.config.event_interval {
            worker.keep_fair(SEAT);
            let Some(task) = worker.next_task(SEAT) else {
                if main.is_woken.load(Ordering::Relaxed) {
                    // It gave way: to what the driver has as well.
                    worker.look_at_driver(SEAT);
                } else {
                    worker.park(SEAT);
                }
                break;
            };
            worker.run_task(task);
            if main.is_woken.load(Ordering::Relaxed) || worker.seat().is_none() {
                break;
            }
        }
    }
}

/// This thread is the worker; gives the core back when dropped, whether the
/// future ended or panicked.
struct Driving {
    worker: Option<Rc<Worker>>,
    current: Option<here::WorkerGuard>,
    watched: Option<Watching>,
}

impl Drop for Driving {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            if worker.seat().is_none() && !std::thread::panicking() {
                // Nobody drives the runtime once nobody blocks on it.
                worker.take_seat(SEAT);
            }
            let _ = worker.stand_up();
        }
        drop(self.watched.take());
        drop(self.current.take());
        let Some(worker) = self.worker.take().and_then(Rc::into_inner) else {
            unreachable!("nobody keeps a worker beyond a call");
        };
        let shared = Arc::clone(worker.shared());
        shared.current.give_back(worker.into_core());
    }
}

impl CoreCell {
    fn take(&self, shared: &Shared) -> Option<Core> {
        self.0.lock().take(shared)
    }

    fn take_or_wait(&self, shared: &Shared, parker: &Arc<ThreadParker>) -> Option<Core> {
        let mut state = self.0.lock();
        let core = state.take(shared);
        if core.is_none() && !state.waiting.iter().any(|other| Arc::ptr_eq(other, parker)) {
            state.waiting.push(Arc::clone(parker));
        }
        core
    }

    fn stop_waiting(&self, parker: &Arc<ThreadParker>) {
        let mut state = self.0.lock();
        state.waiting.retain(|other| !Arc::ptr_eq(other, parker));
        // We may have been the one that was told of a free core.
        if !state.is_taken
            && let Some(next) = state.waiting.pop()
        {
            next.unpark();
        }
    }

    fn give_back(&self, core: Core) {
        let mut state = self.0.lock();
        state.core = Some(core);
        state.is_taken = false;
        if let Some(next) = state.waiting.pop() {
            next.unpark();
        }
    }
}

impl State {
    fn take(&mut self, shared: &Shared) -> Option<Core> {
        if self.is_taken {
            return None;
        }
        self.is_taken = true;
        Some(self.core.take().unwrap_or_else(|| {
            shared
                .take_core()
                .expect("a current-thread runtime has a slot for its only worker")
        }))
    }
}

impl Shared {
    /// Ends a `current_thread` runtime on the thread that drops it.
    pub(crate) fn close_current(&self) {
        self.stop();
        self.close_tasks(SEAT);
        self.close_seat(SEAT);
    }
}
