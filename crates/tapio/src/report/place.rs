//! Where tasks panic, for programs that want to know it in their reports.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

use crate::context;

thread_local! {
    /// The last panic in a task on this thread: its message and its place.
    static LAST: RefCell<Option<(Option<String>, String)>> = const { RefCell::new(None) };
}

/// Has reports of panics say where the panic was, from now on.
///
/// The place is told to the panic hook and to nobody else, and the hook
/// belongs to the whole process: the runtime leaves it alone unless it is
/// asked. This puts a hook before the one that is set now, which is called as
/// ever (the default one prints the place to standard error). A hook that is
/// set afterwards and forgets this one has places be unknown again. Calling
/// twice does nothing more.
///
/// # Panics
/// On a thread that panics, which may not change the hook.
///
/// # Examples
/// ```
/// tapio::guard::note_panic_places();
/// ```
pub fn note_panic_places() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note(info);
            before(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    let Some(location) = info.location().filter(|_| context::current_task() != 0) else {
        return;
    };
    let noted = (message_of(info.payload()), location.to_string());
    // A thread that is being torn down has nowhere to note it.
    let _ = LAST.try_with(|last| last.replace(Some(noted)));
}

/// Where the panic that was just caught on this thread was, if that is known.
pub(crate) fn take_panic_place(payload: &(dyn Any + Send)) -> Option<String> {
    let last = LAST.try_with(RefCell::take).ok().flatten();
    let (message, place) = last?;
    // A panic may be caught that no hook was told of (`resume_unwind`), or
    // another have come and gone while this one unwound.
    (message == message_of(payload)).then_some(place)
}

/// What a panic says, if it is text.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&'static str>().copied());
    text.map(Into::into)
}
