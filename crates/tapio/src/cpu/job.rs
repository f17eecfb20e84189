//! A call on its way to a thread.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedSemaphorePermit;

use super::pool::{Counters, Pool};
use crate::blocking::NoSchedule;
use crate::cell::{JoinHandle, new_blocking_task};
use crate::context;
use crate::runtime::Handle;
use crate::task::{Alive, current_life};
use crate::task_id::Id;

/// What is to be called, and all that goes with it.
pub(super) struct Job<F> {
    /// `None` once it is called.
    call: Option<F>,
    pub(super) id: Id,
    at: &'static Location<'static>,
    pool: &'static Pool,
    /// The runtime that it comes from.
    runtime: Option<Handle>,
    /// The group that it comes from, which waits for it.
    life: Option<Arc<Alive>>,
}

impl<F, R> Job<F>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    pub(super) fn new(pool: &'static Pool, call: F, at: &'static Location<'static>) -> Job<F> {
        context::note_offload();
        Job {
            call: Some(call),
            id: Id::next(),
            at,
            pool,
            runtime: Handle::try_current().ok(),
            life: current_life(),
        }
    }

    /// Puts it in line.
    pub(super) fn submit(self, place: OwnedSemaphorePermit) -> JoinHandle<R> {
        let (id, at, pool) = (self.id, self.at, self.pool);
        let counters = self.runtime.as_ref();
        let counters = counters.map(|handle| Arc::clone(handle.shared.pool.counters()));
        let scheduler = NoSchedule::new(counters);
        let (call, handle) = new_blocking_task(move || self.run(), scheduler, id, at);
        pool.submit(call, place);
        handle
    }

    fn run(mut self) -> R {
        let call = self.call.take().expect("it is called once");
        let _life = self.life.take();
        let runtime = self.runtime.take();
        let _entered = runtime.as_ref().map(Handle::enter);
        let _running = Running::new(&self.pool.counters);
        call()
    }
}

impl<F> Job<F> {
    /// What was to be called, which is not counted.
    pub(super) fn into_call(mut self) -> F {
        self.call.take().expect("it was not called")
    }
}

impl<F> Drop for Job<F> {
    fn drop(&mut self) {
        if self.call.is_some() {
            // Relaxed: a figure.
            let cancelled = &self.pool.counters.cancelled;
            cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts a call from its start to its end.
struct Running(&'static Counters);

impl Running {
    fn new(counters: &'static Counters) -> Running {
        // Relaxed here and below: figures.
        counters.running.fetch_add(1, Ordering::Relaxed);
        Running(counters)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = if std::thread::panicking() {
            &self.0.panicked
        } else {
            &self.0.done
        };
        ended.fetch_add(1, Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
