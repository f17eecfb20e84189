//! Being asked to stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use tapio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask for a stop.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

/// Exit status of a process ended by ctrl-c, as shells count it.
const EXIT_INTERRUPTED: i32 = 130;

impl StopSignals {
    /// Starts to listen for ctrl-c and SIGTERM.
    ///
    /// Once one of them has come, ctrl-c ends the process at once. That is done inside the signal
    /// handler: it works even if every thread of the runtime is stuck.
    ///
    /// # Errors
    ///
    /// What the operating system refused.
    pub(crate) fn listen() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        // Registered first, so run first: the signal that sets the flag does not see it set.
        signal_hook::flag::register_conditional_shutdown(
            SIGINT,
            EXIT_INTERRUPTED,
            Arc::clone(&asked),
        )?;
        signal_hook::flag::register(SIGINT, Arc::clone(&asked))?;
        signal_hook::flag::register(SIGTERM, asked)?;
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for a request to stop, and says which one it was.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost.
    pub(crate) async fn wait(&mut self) -> &'static str {
        tapio::select! {
            _ = self.interrupt.recv() => "ctrl-c",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
