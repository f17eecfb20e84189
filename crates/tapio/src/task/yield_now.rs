//! Giving way.

use std::future::poll_fn;
use std::task::Poll;

/// Lets other tasks run before this one goes on.
///
/// The task goes to the back of its worker's queue. There is no promise as to
/// which others run.
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
pub async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
