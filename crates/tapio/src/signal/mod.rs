//! Signals that the operating system sends to the program.
//!
//! `unix` is what users call. `registry` has the program's one handler for
//! each signal, and the one thread that tells listeners; it belongs to no
//! runtime, so any number of runtimes may listen, and come and go.
//!
//! A signal's default action (ending the program, for most) is replaced when
//! it is first listened for, and does not come back when the last listener is
//! dropped.

mod registry;
pub mod unix;

use std::io;

use self::unix::{SignalKind, signal};

/// Waits for ctrl-c (`SIGINT`).
///
/// Listening begins when the future is first polled; from then on ctrl-c does
/// not end the program any more, even after the future is dropped.
///
/// # Errors
/// When the system refuses the handler, or the thread that is started at the
/// first use.
///
/// # Panics
/// Outside of a runtime with I/O enabled.
///
/// # Cancel safety
/// A ctrl-c that came while the future waited is lost with it.
///
/// # Examples
/// ```no_run
/// # async fn serve() {}
/// # async fn run() -> std::io::Result<()> {
/// tokio::select! {
///     () = serve() => {}
///     pressed = tapio::signal::ctrl_c() => pressed?,
/// }
/// # Ok(())
/// # }
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    signal(SignalKind::interrupt())?.recv().await;
    Ok(())
}
