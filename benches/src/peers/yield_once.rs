//! A yield for runtimes that have none of their own.

use std::{future::poll_fn, mem, task::Poll};

/// Wakes the task and lets the others run first.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
