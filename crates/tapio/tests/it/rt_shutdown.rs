//! How a runtime ends, and what becomes of what it ran.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use tapio::net::TcpListener;
use tapio::runtime::{Handle, Runtime, is_rt_shutdown_err};
use tapio::sync::oneshot;
use tapio::task::{self, yield_now};
use tapio::time::sleep;

use crate::support::{Kind, runtimes};

/// Waits for ever and counts the drops.
fn waits(dropped: &Arc<AtomicUsize>) -> impl Future<Output = ()> + Send + use<> {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let counted = Counted(Arc::clone(dropped));
    async move {
        let _counted = counted;
        pending::<()>().await;
    }
}

#[test]
fn every_task_is_dropped_wherever_it_was() {
    for (kind, runtime) in runtimes() {
        let dropped = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            // Idle ones, on a timer, on a socket, busy ones.
            for _ in 0..10 {
                drop(tapio::spawn(waits(&dropped)));
                let task = waits(&dropped);
                drop(tapio::spawn(async move {
                    let mut task = Box::pin(task);
                    assert!((&mut task).now_or_never().is_none());
                    sleep(Duration::from_secs(1000)).await;
                }));
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
                let task = waits(&dropped);
                drop(tapio::spawn(async move {
                    let _task = task;
                    let _ = listener.accept().await;
                }));
                let task = waits(&dropped);
                drop(tapio::spawn(async move {
                    let _task = task;
                    loop {
                        yield_now().await;
                    }
                }));
            }
            yield_now().await;
        });
        // And some that never ran.
        for _ in 0..10 {
            drop(runtime.spawn(waits(&dropped)));
        }
        let handle = runtime.handle().clone();
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 50, "{kind}");
        assert_eq!(handle.metrics().num_alive_tasks(), 0, "{kind}");
        assert_eq!(handle.metrics().num_timers(), 0, "{kind}");
        assert_eq!(handle.metrics().num_watches(), 0, "{kind}");
    }
}

#[test]
fn handles_of_tasks_that_were_dropped_say_so() {
    for (kind, runtime) in runtimes() {
        let idle = runtime.spawn(pending::<()>());
        let done = runtime.spawn(async { 1 });
        runtime.block_on(async {
            while !done.is_finished() {
                yield_now().await;
            }
        });
        drop(runtime);
        let idle = idle.now_or_never().expect("it has ended");
        assert!(idle.expect_err("dropped").is_cancelled(), "{kind}");
        let done = done.now_or_never().expect("it has ended");
        assert_eq!(done.expect("it came to its end"), 1, "{kind}");
    }
}

#[test]
fn a_runtime_that_has_ended_takes_nothing() {
    for (kind, runtime) in runtimes() {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a socket");
        let handle = runtime.handle().clone();
        drop(runtime);
        let dropped = Arc::new(AtomicUsize::new(0));
        let task = handle.spawn(waits(&dropped));
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "{kind}");
        let task = task.now_or_never().expect("it has ended");
        assert!(task.expect_err("refused").is_cancelled(), "{kind}");
        let call = handle.spawn_blocking(|| ());
        let call = call.now_or_never().expect("it has ended");
        assert!(call.expect_err("refused").is_cancelled(), "{kind}");
        // Another runtime polls what belonged to this one.
        let error = kind.build().block_on(listener.accept()).expect_err("gone");
        assert!(is_rt_shutdown_err(&error), "{kind}: {error}");
    }
}

#[test]
fn tasks_are_dropped_inside_of_their_runtime() {
    struct Looks(mpsc::Sender<Option<tapio::runtime::Id>>);
    impl Drop for Looks {
        fn drop(&mut self) {
            let id = Handle::try_current().ok().map(|handle| handle.id());
            let _ = self.0.send(id);
            // Spawning into the end is no mistake, and does nothing.
            if id.is_some() {
                drop(tapio::spawn(async {}));
            }
        }
    }
    for (kind, runtime) in runtimes() {
        let (send, seen) = mpsc::channel();
        let looks = Looks(send);
        runtime.spawn(async move {
            let _looks = looks;
            pending::<()>().await;
        });
        let id = runtime.handle().id();
        drop(runtime);
        assert_eq!(seen.recv(), Ok(Some(id)), "{kind}");
    }
}

#[test]
fn tasks_may_wake_and_hold_each_other_while_they_are_dropped() {
    struct WakesOther(Option<oneshot::Sender<()>>);
    impl Drop for WakesOther {
        fn drop(&mut self) {
            if let Some(sender) = self.0.take() {
                let _ = sender.send(());
            }
        }
    }
    for (kind, runtime) in runtimes() {
        let mut ends = Vec::new();
        runtime.block_on(async {
            let mut next: Option<oneshot::Receiver<()>> = None;
            for _ in 0..20 {
                let (send, receive) = oneshot::channel();
                let wakes = WakesOther(Some(send));
                let waits_for = next.replace(receive);
                let before = ends.pop();
                ends.push(tapio::spawn(async move {
                    let _wakes = wakes;
                    if let Some(waits_for) = waits_for {
                        let _ = waits_for.await;
                    }
                    pending::<()>().await;
                    drop(before);
                }));
            }
            yield_now().await;
        });
        drop(runtime);
        for end in ends {
            let end: Result<(), _> = end.now_or_never().expect("it has ended");
            assert!(end.expect_err("dropped").is_cancelled(), "{kind}");
        }
    }
}

#[test]
fn the_end_waits_for_calls_that_have_begun() {
    for (kind, runtime) in runtimes() {
        let (began, has_begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let ended = Arc::new(AtomicUsize::new(0));
        let ends = Arc::clone(&ended);
        runtime.spawn_blocking(move || {
            let _ = began.send(());
            let _ = gone.recv();
            ends.fetch_add(1, Ordering::SeqCst);
        });
        has_begun.recv().expect("it begins");
        let dropper = thread::spawn(move || drop(runtime));
        go.send(()).expect("it waits");
        dropper.join().expect("no panic");
        assert_eq!(ended.load(Ordering::SeqCst), 1, "{kind}");
    }
}

#[test]
fn with_a_limit_it_leaves_calls_to_themselves() {
    for (kind, runtime) in runtimes() {
        let (began, has_begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let call = runtime.spawn_blocking(move || {
            let _ = began.send(());
            gone.recv()
        });
        has_begun.recv().expect("it begins");
        // Comes back although the call goes on.
        runtime.shutdown_timeout(Duration::from_millis(5));
        assert!(!call.is_finished(), "{kind}");
        go.send(()).expect("it waits");
        let call = futures::executor::block_on(call);
        call.expect("it came to its end").expect("and was told to");
    }
}

#[test]
fn in_the_background_it_ends_all_the_same() {
    for (kind, runtime) in runtimes() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let task = runtime.spawn(waits(&dropped));
        runtime.shutdown_background();
        let joined = futures::executor::block_on(task);
        assert!(joined.expect_err("dropped").is_cancelled(), "{kind}");
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "{kind}");
    }
}

#[test]
fn wakers_outlive_their_runtime() {
    for (kind, runtime) in runtimes() {
        let (send, receive) = mpsc::channel::<Waker>();
        runtime.spawn(poll_fn(move |cx: &mut Context<'_>| {
            let _ = send.send(cx.waker().clone());
            Poll::<()>::Pending
        }));
        runtime.block_on(async { yield_now().await });
        let waker = receive.recv().expect("it was polled");
        drop(runtime);
        waker.wake_by_ref();
        let copy = waker.clone();
        copy.wake();
        drop(waker);
        assert!(receive.try_recv().is_err(), "{kind}");
    }
}

#[test]
fn a_runtime_in_a_thread_local_value_ends_with_its_thread() {
    thread_local! {
        static KEPT: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    for kind in Kind::all() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let drops = Arc::clone(&dropped);
        thread::spawn(move || {
            // First, so that it is destroyed after what the runtime uses.
            KEPT.with(|kept| assert!(kept.borrow().is_none()));
            let runtime = kind.build();
            runtime.spawn(waits(&drops));
            runtime.block_on(async { yield_now().await });
            KEPT.with(|kept| *kept.borrow_mut() = Some(runtime));
        })
        .join()
        .expect("no panic");
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "{kind}");
    }
}

/// A task that owns a handle to its own runtime, and one that owns the last
/// handle to another's task.
#[test]
fn tasks_that_own_handles_are_no_cycle() {
    for (kind, runtime) in runtimes() {
        let weak = runtime.block_on(async {
            let owned = Arc::new(());
            let weak = Arc::downgrade(&owned);
            let handle = Handle::current();
            let other = tapio::spawn(pending::<()>());
            drop(tapio::spawn(async move {
                let _owned = (owned, handle);
                let _ = other.await;
            }));
            yield_now().await;
            weak
        });
        drop(runtime);
        assert!(weak.upgrade().is_none(), "{kind}");
    }
}

/// Holds a future and drops it on another thread.
struct Elsewhere(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let future = self.0.take();
        thread::spawn(move || drop(future))
            .join()
            .expect("no panic");
    }
}

#[test]
fn what_tasks_hold_may_be_dropped_on_other_threads_meanwhile() {
    for (kind, runtime) in runtimes() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let inner = waits(&dropped);
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
            let mut held: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
                let _ = (listener.accept().await, inner.await);
            });
            assert!(held.as_mut().now_or_never().is_none());
            let elsewhere = Elsewhere(Some(held));
            drop(tapio::spawn(async move {
                let _elsewhere = elsewhere;
                pending::<()>().await;
            }));
            yield_now().await;
        });
        drop(runtime);
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "{kind}");
    }
}

#[test]
fn blocking_calls_may_end_tasks_while_the_runtime_ends() {
    for (kind, runtime) in runtimes() {
        for _ in 0..20 {
            runtime.spawn(async {
                let _ = task::spawn_blocking(|| drop(tapio::spawn(async {}))).await;
            });
        }
        if kind.workers.is_none() {
            runtime.block_on(yield_now());
        }
        let handle = runtime.handle().clone();
        drop(runtime);
        assert_eq!(handle.metrics().num_alive_tasks(), 0, "{kind}");
        assert_eq!(handle.metrics().num_blocking_threads(), 0, "{kind}");
    }
}
