//! How a `LocalSet` and its tasks end.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;

use futures::FutureExt;
use tapio::sync::{Notify, oneshot};
use tapio::task::{LocalSet, spawn_local, yield_now};

use crate::support::runtimes;

/// Says who is dropped, and whether it may still spawn into the set.
struct Witness {
    name: &'static str,
    log: Rc<RefCell<Vec<&'static str>>>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.log.borrow_mut().push(self.name);
        // Inside of the set's context still, which takes no more.
        let task = spawn_local(async {});
        let joined = task.now_or_never().expect("it has ended");
        assert!(joined.expect_err("refused").is_cancelled());
    }
}

#[test]
fn dropping_the_set_drops_its_tasks_in_their_order() {
    for (kind, runtime) in runtimes() {
        let log = Rc::new(RefCell::new(Vec::new()));
        let set = LocalSet::new();
        let handles = ["waits", "was woken", "never ran"].map(|name| {
            let witness = Witness {
                name,
                log: Rc::clone(&log),
            };
            (name, witness)
        });
        let notify = Rc::new(Notify::new());
        let mut joins = Vec::new();
        for (name, witness) in handles {
            if name == "never ran" {
                set.block_on(&runtime, yield_now());
            }
            let notified = Rc::clone(&notify);
            joins.push(set.spawn_local(async move {
                let _witness = witness;
                notified.notified().await;
                pending::<()>().await;
            }));
        }
        notify.notify_one();
        drop(set);
        assert_eq!(*log.borrow(), ["waits", "was woken", "never ran"], "{kind}");
        for join in joins {
            let joined = runtime.block_on(join);
            assert!(joined.expect_err("dropped").is_cancelled(), "{kind}");
        }
    }
}

#[test]
fn a_panic_in_a_drop_does_not_keep_the_others_alive() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a drop");
        }
    }
    let set = LocalSet::new();
    let alive = Rc::new(());
    for _ in 0..3 {
        let alive = Rc::clone(&alive);
        set.spawn_local(async move {
            let _held = (Bomb, alive);
            pending::<()>().await;
        });
    }
    drop(set);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn aborts_and_wakes_after_the_set_is_gone_are_nothing() {
    let set = LocalSet::new();
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let keep = Rc::clone(&kept);
    let handle = set.spawn_local(std::future::poll_fn(move |cx| {
        *keep.borrow_mut() = Some(cx.waker().clone());
        Poll::<()>::Pending
    }));
    let abort = handle.abort_handle();
    let mut set = Box::pin(set);
    let poll = set.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll.is_pending());
    let waker = kept.borrow_mut().take().expect("it was polled");
    // From another thread, on its way into the inbox when the set goes.
    thread::spawn(move || {
        waker.wake_by_ref();
        waker
    })
    .join()
    .map(|waker| {
        drop(set);
        waker.wake_by_ref();
        thread::spawn(move || {
            waker.wake_by_ref();
            abort.abort();
        })
        .join()
        .expect("no panic");
    })
    .expect("no panic");
    let joined = handle.now_or_never().expect("it has ended");
    assert!(joined.expect_err("dropped").is_cancelled());
}

#[test]
fn an_abort_from_elsewhere_drops_the_future_here() {
    struct Here(thread::ThreadId);
    impl Drop for Here {
        fn drop(&mut self) {
            assert_eq!(self.0, thread::current().id());
        }
    }
    for (kind, runtime) in runtimes() {
        LocalSet::new().block_on(&runtime, async {
            for _ in 0..100 {
                let here = Here(thread::current().id());
                let (started, start) = oneshot::channel();
                let task = spawn_local(async move {
                    let _here = here;
                    let _ = started.send(());
                    pending::<()>().await;
                });
                start.await.expect("it starts");
                let abort = task.abort_handle();
                tapio::spawn(async move { abort.abort() });
                let error = task.await.expect_err("aborted");
                assert!(error.is_cancelled(), "{kind}: {error}");
            }
        });
    }
}
