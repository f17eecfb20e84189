//! Panics that somebody has dealt with, although they go on.

use std::any::Any;
use std::panic::resume_unwind;

/// A payload whose panic is no news.
struct Observed(Box<dyn Any + Send>);

/// Goes on with a panic that was caught and that people have been told of: as
/// [`std::panic::resume_unwind`], but should it end a task whose handle nobody
/// looks at, it is not reported as one that nobody looked at.
///
/// For servers and the like that log the panics of their users' code and let
/// them end the task. Whoever awaits the task's handle gets the panic as it
/// was; a `catch_unwind` on the way there gets a payload that it cannot look
/// into.
///
/// # Panics
/// Always; that is what it is for.
///
/// # Examples
/// ```
/// use std::panic::{AssertUnwindSafe, catch_unwind};
///
/// fn call_plugin(plugin: impl FnOnce()) {
///     if let Err(payload) = catch_unwind(AssertUnwindSafe(plugin)) {
///         eprintln!("the plugin panicked; its connection is closed");
///         tapio::guard::resume_observed(payload);
///     }
/// }
/// # call_plugin(|| {});
/// ```
pub fn resume_observed(payload: Box<dyn Any + Send>) -> ! {
    resume_unwind(Box::new(Observed(payload)))
}

/// The payload as it was, and whether somebody has dealt with the panic.
pub(crate) fn take_observed(payload: Box<dyn Any + Send>) -> (Box<dyn Any + Send>, bool) {
    match payload.downcast::<Observed>() {
        Ok(observed) => (observed.0, true),
        Err(payload) => (payload, false),
    }
}
