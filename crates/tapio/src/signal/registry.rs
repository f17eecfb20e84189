//! The program's signal handlers, and the thread that tells listeners.
//!
//! A handler may do next to nothing: it sets the signal's flag and writes to
//! an event descriptor. A thread that blocks on the descriptor, started when
//! the first listener comes, takes the flags and tells the listeners of each
//! signal through a `watch` channel. While no signal arrives nobody wakes.
//!
//! A child by `fork` inherits the handlers and nothing else: it has a
//! descriptor and a thread of its own once it listens.

#![expect(unsafe_code, reason = "what a signal handler calls must be safe there")]

use std::ffi::c_int;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::retry_on_intr;
use tapio_driver::PerProcess;
use tapio_driver::lock::Mutex;
use tokio::sync::watch;

use crate::threads;

/// Linux numbers its signals from 1 to here, real-time signals included.
const NUMBER_MAX: usize = 64;

pub(super) struct Registry {
    /// By number, less one.
    kinds: [Kind; NUMBER_MAX],
    /// Written by handlers, read by the thread. It blocks no writer: that
    /// would take 2^64 signals which nobody has read.
    alarm: OwnedFd,
}

struct Kind {
    has_arrived: AtomicBool,
    listeners: watch::Sender<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the signal last arrived and nobody listened.
    unheard_since: Option<Instant>,
}

/// How long a signal that nobody heard is kept for the next listener: long
/// enough for a loop that makes a listener each time round, and too short for
/// anybody to be surprised by a signal of long ago.
const KEPT_FOR: Duration = Duration::from_millis(100);

/// Where the registry is, once it was made.
#[derive(Default)]
struct Place {
    registry: OnceLock<Registry>,
    is_started: Mutex<bool>,
}

static REGISTRY: PerProcess<Place> = PerProcess::new(|_| Place::default());

/// Whether the handler of a signal is in place, by number, less one. A child
/// inherits it, and it finds the child's registry then.
static IS_HANDLED: [AtomicBool; NUMBER_MAX] = [const { AtomicBool::new(false) }; NUMBER_MAX];

impl Registry {
    /// The process's only one, made and its thread started at the first call.
    pub(super) fn get() -> io::Result<&'static Registry> {
        let place = REGISTRY.get();
        // A failure is not kept: the next call tries again.
        let mut is_started = place.is_started.lock();
        let registry = match place.registry.get() {
            Some(registry) => registry,
            None => {
                let alarm = eventfd(0, EventfdFlags::CLOEXEC)?;
                place.registry.get_or_init(|| Registry::new(alarm))
            }
        };
        if !*is_started {
            threads::start("tapio-signal".into(), None, || registry.serve()).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("no thread to listen for signals: {error}"),
                )
            })?;
            *is_started = true;
        }
        Ok(registry)
    }

    fn new(alarm: OwnedFd) -> Registry {
        Registry {
            kinds: std::array::from_fn(|_| Kind {
                has_arrived: AtomicBool::new(false),
                listeners: watch::Sender::new(()),
                state: Mutex::default(),
            }),
            alarm,
        }
    }

    /// A receiver that changes whenever the signal arrives.
    pub(super) fn listen(&'static self, number: c_int) -> io::Result<watch::Receiver<()>> {
        let refuse =
            |why: &str| io::Error::other(format!("cannot listen for signal {number}: {why}"));
        if signal_hook_registry::FORBIDDEN.contains(&number) {
            return Err(refuse("it must not be caught"));
        }
        let index = number.checked_sub(1);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let known = index.and_then(|index| Some((index, self.kinds.get(index)?)));
        let (index, kind) = known.ok_or_else(|| refuse("there is no such signal"))?;
        kind.listen(number, index)
    }

    /// The life of the thread, which is that of the program.
    fn serve(&self) {
        let mut count = [0; 8];
        loop {
            if let Err(error) = retry_on_intr(|| rustix::io::read(&self.alarm, &mut count)) {
                tracing::error!("signals are heard no more: reading the alarm failed: {error}");
                return;
            }
            for kind in &self.kinds {
                // A waker that panics must not take the next signals with it.
                let _ = catch_unwind(AssertUnwindSafe(|| kind.tell()));
            }
        }
    }
}

impl Kind {
    fn listen(&self, number: c_int, index: usize) -> io::Result<watch::Receiver<()>> {
        let mut state = self.state.lock();
        // Before the handler is in place, so that nothing it hears is missed.
        let mut receiver = self.listeners.subscribe();
        // Relaxed, both: the lock orders them.
        if !IS_HANDLED[index].load(Ordering::Relaxed) {
            handle(number, index)?;
            IS_HANDLED[index].store(true, Ordering::Relaxed);
        }
        let unheard = state.unheard_since.take();
        if unheard.is_some_and(|since| since.elapsed() < KEPT_FOR) {
            receiver.mark_changed();
        }
        Ok(receiver)
    }

    /// Tells the listeners, if the signal arrived since the last call.
    fn tell(&self) {
        // Acquire pairs with the release in the handler; the descriptor was
        // read before, so a flag that is set later is followed by a write.
        if !self.has_arrived.swap(false, Ordering::Acquire) {
            return;
        }
        let mut state = self.state.lock();
        if self.listeners.receiver_count() == 0 {
            state.unheard_since = Some(Instant::now());
            return;
        }
        // Wakers are foreign code, which may listen for a signal itself.
        drop(state);
        let _ = self.listeners.send(());
    }
}

/// Puts the handler in place.
fn handle(number: c_int, index: usize) -> io::Result<()> {
    let handler = move || {
        // A child that listens to nothing has none: its parent's alarm is not
        // its own to ring.
        let place = REGISTRY.get_made();
        if let Some(registry) = place.and_then(|place| place.registry.get()) {
            // Release pairs with the acquire in `tell`.
            registry.kinds[index]
                .has_arrived
                .store(true, Ordering::Release);
            let _ = rustix::io::write(&registry.alarm, &1u64.to_ne_bytes());
        }
    };
    // SAFETY: the handler loads and stores atomics and makes one system call on
    // a descriptor that is never closed: all may be done in a signal handler.
    // It takes no lock, does not allocate and cannot panic; the registry keeps
    // `errno` for the code that it interrupts.
    unsafe { signal_hook_registry::register(number, handler) }.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen for signal {number}: {error}"),
        )
    })?;
    Ok(())
}
