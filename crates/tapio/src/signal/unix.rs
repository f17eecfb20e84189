//! Listening for any Unix signal.

use std::ffi::c_int;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::mem::{self, ManuallyDrop};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::process::Signal as Number;
use tapio_driver::Process;
use tokio::sync::watch;

use super::registry::Registry;
use crate::runtime::Handle;

/// Which signal.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct SignalKind(c_int);

impl SignalKind {
    /// By number, for signals that have no name here.
    #[must_use]
    pub const fn from_raw(signum: c_int) -> SignalKind {
        SignalKind(signum)
    }

    /// The signal's number.
    #[must_use]
    pub const fn as_raw_value(&self) -> c_int {
        self.0
    }

    /// `SIGALRM`: a timer of the kernel's ran out.
    #[must_use]
    pub const fn alarm() -> SignalKind {
        SignalKind(Number::ALARM.as_raw())
    }

    /// `SIGCHLD`: a child process ended, stopped or went on.
    #[must_use]
    pub const fn child() -> SignalKind {
        SignalKind(Number::CHILD.as_raw())
    }

    /// `SIGHUP`: the terminal went away; to daemons, "read your configuration
    /// again".
    #[must_use]
    pub const fn hangup() -> SignalKind {
        SignalKind(Number::HUP.as_raw())
    }

    /// `SIGINT`: ctrl-c.
    #[must_use]
    pub const fn interrupt() -> SignalKind {
        SignalKind(Number::INT.as_raw())
    }

    /// `SIGIO`: a descriptor that asked for it is ready.
    #[must_use]
    pub const fn io() -> SignalKind {
        SignalKind(Number::IO.as_raw())
    }

    /// `SIGPIPE`: a write to a pipe or socket that nobody reads. Programs in
    /// Rust ignore it from the start.
    #[must_use]
    pub const fn pipe() -> SignalKind {
        SignalKind(Number::PIPE.as_raw())
    }

    /// `SIGQUIT`: ctrl-\.
    #[must_use]
    pub const fn quit() -> SignalKind {
        SignalKind(Number::QUIT.as_raw())
    }

    /// `SIGTERM`: somebody asks the program to end.
    #[must_use]
    pub const fn terminate() -> SignalKind {
        SignalKind(Number::TERM.as_raw())
    }

    /// `SIGUSR1`.
    #[must_use]
    pub const fn user_defined1() -> SignalKind {
        SignalKind(Number::USR1.as_raw())
    }

    /// `SIGUSR2`.
    #[must_use]
    pub const fn user_defined2() -> SignalKind {
        SignalKind(Number::USR2.as_raw())
    }

    /// `SIGWINCH`: the terminal has another size.
    #[must_use]
    pub const fn window_change() -> SignalKind {
        SignalKind(Number::WINCH.as_raw())
    }
}

impl From<c_int> for SignalKind {
    fn from(signum: c_int) -> SignalKind {
        SignalKind::from_raw(signum)
    }
}

impl From<SignalKind> for c_int {
    fn from(kind: SignalKind) -> c_int {
        kind.as_raw_value()
    }
}

/// Waits for the next change, and gives the receiver back for the one after.
type NextArrival = Pin<Box<dyn Future<Output = watch::Receiver<()>> + Send + Sync>>;

/// A listener for one kind of signal; made by [`signal()`].
///
/// Signals coalesce, as the kernel's do: however many arrive before the next
/// [`recv`](Signal::recv), that call is the only one that they complete.
#[must_use = "listeners do nothing unless polled"]
pub struct Signal {
    kind: SignalKind,
    next: NextArrival,
    /// The process that listens.
    process: Process,
}

/// Starts to listen for a signal. Any number of listeners may be there, each
/// of which hears of every signal. One that arrives while there is none is
/// kept for a tenth of a second, so that a loop which makes a listener each
/// time round misses none.
///
/// The signal's default action is replaced from now on, even after all
/// listeners are dropped.
///
/// # Errors
/// When the signal cannot be caught (`SIGKILL`, `SIGSEGV`, ...) or does not
/// exist, or when the system refuses the handler, or the thread that is
/// started at the first use.
///
/// # Panics
/// Outside of a runtime with I/O enabled.
///
/// # Examples
/// ```no_run
/// use tapio::signal::unix::{SignalKind, signal};
///
/// # async fn run() -> std::io::Result<()> {
/// let mut hangup = signal(SignalKind::hangup())?;
/// while hangup.recv().await.is_some() {
///     // Read the configuration again.
/// }
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    // Listening itself needs no runtime. Programs that forget one, or to
    // enable it, learn of it in the same way as from sockets.
    assert!(
        Handle::current().is_io_enabled(),
        "there is no signal driver running, must be called from the context of Tokio runtime \
         (here: of a tapio runtime with I/O enabled)"
    );
    let receiver = Registry::get()?.listen(kind.0)?;
    Ok(Signal {
        kind,
        next: Box::pin(arrival(receiver)),
        process: Process::current(),
    })
}

async fn arrival(mut receiver: watch::Receiver<()>) -> watch::Receiver<()> {
    receiver
        .changed()
        .await
        .expect("the registry lives as long as the program");
    receiver
}

impl Signal {
    /// Waits for the signal. Never gives `None`.
    ///
    /// # Panics
    /// In a child by `fork` of the process that listened.
    ///
    /// # Cancel safety
    /// A signal that arrives while nobody waits completes the next call, so
    /// none is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Signal::recv`], by hand: `Pending` wakes the task of `cx` when the
    /// signal arrives.
    ///
    /// # Panics
    /// In a child by `fork` of the process that listened.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        self.process.require("cannot wait for a signal");
        let receiver = ready!(self.next.as_mut().poll(cx));
        self.next = Box::pin(arrival(receiver));
        Poll::Ready(Some(()))
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        if !self.process.is_current() {
            // The channel is the parent's: it may be locked for ever.
            let next = mem::replace(&mut self.next, Box::pin(pending()));
            let _left = ManuallyDrop::new(next);
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
