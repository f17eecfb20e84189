//! `task_local!`.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use tapio::task::yield_now;

use crate::support::runtimes;

tapio::task_local! {
    /// A key with documentation and visibility.
    pub(crate) static NUMBER: u32;
    static CELL: Cell<u32>
}

#[test]
fn each_task_has_its_own() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let tasks: Vec<_> = (0..20)
                .map(|number| {
                    tapio::spawn(NUMBER.scope(number, async move {
                        for _ in 0..10 {
                            assert_eq!(NUMBER.get(), number);
                            yield_now().await;
                        }
                        tapio::spawn(async { NUMBER.try_get().is_err() }).await
                    }))
                })
                .collect();
            assert!(NUMBER.try_with(|_| ()).is_err(), "{kind}");
            for task in tasks {
                let inherited = task.await.expect("it ends");
                assert!(
                    inherited.expect("it ends"),
                    "{kind}: spawned tasks have none"
                );
            }
        });
    }
}

#[test]
fn scopes_nest_and_end() {
    NUMBER.sync_scope(1, || {
        assert_eq!(NUMBER.get(), 1);
        NUMBER.sync_scope(2, || assert_eq!(NUMBER.get(), 2));
        assert_eq!(NUMBER.get(), 1);
        let inner = NUMBER.scope(3, async { NUMBER.get() });
        assert_eq!(inner.now_or_never(), Some(3));
        assert_eq!(NUMBER.get(), 1);
        // A panic ends a scope as a return does.
        let panicked = catch_unwind(|| NUMBER.sync_scope(4, || panic!("inside")));
        assert!(panicked.is_err());
        assert_eq!(NUMBER.get(), 1);
    });
    let error = NUMBER.try_get().expect_err("no scope");
    assert_eq!(error.to_string(), "task-local value not set");
}

#[test]
fn a_value_may_change_and_be_taken_back() {
    let mut scope = Box::pin(CELL.scope(Cell::new(1), async {
        CELL.with(|cell| cell.set(cell.get() + 1));
    }));
    assert!(scope.as_mut().now_or_never().is_some());
    assert_eq!(scope.as_mut().take_value().map(Cell::into_inner), Some(2));
    assert!(scope.as_mut().take_value().is_none());
}

#[test]
fn destructors_of_the_future_see_the_value() {
    struct Looks(Arc<AtomicU32>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.store(NUMBER.get(), Ordering::SeqCst);
        }
    }
    // Dropped in the middle, at its end, and by an abort.
    let seen = Arc::new(AtomicU32::new(0));
    let looks = Looks(Arc::clone(&seen));
    drop(NUMBER.scope(5, async move {
        let _looks = looks;
    }));
    assert_eq!(seen.load(Ordering::SeqCst), 5);
    let looks = Looks(Arc::clone(&seen));
    let future = poll_fn(move |_| {
        let _looks = &looks;
        Poll::Ready(())
    });
    assert!(NUMBER.scope(6, future).now_or_never().is_some());
    assert_eq!(seen.load(Ordering::SeqCst), 6);
    for (kind, runtime) in runtimes() {
        seen.store(0, Ordering::SeqCst);
        let looks = Looks(Arc::clone(&seen));
        runtime.block_on(async {
            let task = tapio::spawn(NUMBER.scope(7, async move {
                let _looks = looks;
                std::future::pending::<()>().await;
            }));
            yield_now().await;
            task.abort();
            assert!(task.await.expect_err("aborted").is_cancelled(), "{kind}");
        });
        assert_eq!(seen.load(Ordering::SeqCst), 7, "{kind}");
    }
}

#[test]
fn misuse_panics() {
    let message = |f: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
        let text = payload.downcast_ref::<&str>().expect("a text");
        (*text).to_owned()
    };
    let unset = message(&|| NUMBER.with(|_| ()));
    assert!(unset.contains("without setting it first"), "{unset}");
    let inside = message(&|| {
        NUMBER.sync_scope(1, || NUMBER.with(|_| NUMBER.sync_scope(2, || ())));
    });
    assert!(inside.contains("storage is borrowed"), "{inside}");
    let twice = message(&|| {
        let mut scope = pin!(NUMBER.scope(1, async {}));
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            let _ = scope.as_mut().poll(&mut cx);
        }
    });
    assert!(twice.contains("polled after completion"), "{twice}");
}
