//! Promises, callbacks, `JoinHandle::on_complete`.

use std::future::{Future, pending};
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tapio::guard::{Report, on_report};
use tapio::promise::{Promise, Resolver, from_callback};
use tapio::sync::oneshot;
use tapio::task::{JoinError, JoinHandle};
use tapio::{promise, task};

use crate::support::{runtimes, until};

#[test]
fn a_value_comes_from_a_task_a_thread_or_before_anybody_waits() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (resolver, promised) = promise();
            tapio::spawn(async move { resolver.resolve(1) });
            assert_eq!(promised.await, Ok(1), "{kind}");

            let (resolver, promised) = promise();
            let thread = thread::spawn(move || resolver.resolve(2));
            assert_eq!(promised.await, Ok(2), "{kind}");
            thread.join().unwrap().unwrap();

            let (resolver, mut promised) = promise();
            assert_eq!(promised.try_take(), None, "{kind}");
            resolver.resolve(3).unwrap();
            assert_eq!(promised.try_take(), Some(Ok(3)), "{kind}");
        });
    }
}

#[test]
fn a_broken_promise_says_where_it_was_made() {
    let here = Location::caller();
    let (resolver, promised) = promise::<u32>();
    let line = here.line() + 1;
    drop(resolver);
    let Poll::Ready(Err(broken)) = poll_once(promised) else {
        panic!("it is broken");
    };
    assert_eq!(
        (broken.made_at().file(), broken.made_at().line()),
        (file!(), line)
    );
    let text = broken.to_string();
    assert!(text.contains(&format!("{}:{line}", file!())), "{text}");
    assert!(text.contains("help:"), "{text}");

    let line = line!() + 1;
    let dropped = from_callback(|resolver: Resolver<u32>| drop(resolver));
    let Poll::Ready(Err(broken)) = poll_once(dropped) else {
        panic!("it is broken");
    };
    assert_eq!(broken.made_at().line(), line);
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    std::pin::pin!(future)
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_value_that_nobody_wants_comes_back() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (mut resolver, promised) = promise();
            assert!(resolver.is_wanted(), "{kind}");
            let waits = tapio::spawn(async move {
                resolver.unwanted().await;
                resolver
            });
            drop(promised);
            let resolver = waits.await.unwrap();
            assert!(!resolver.is_wanted(), "{kind}");
            assert_eq!(resolver.resolve(7), Err(7), "{kind}");
        });
    }
}

#[test]
fn callback_apis_of_every_shape_are_futures() {
    fn once(then: impl FnOnce(u32) + Send + 'static) {
        thread::spawn(move || then(1));
    }
    fn many(then: impl Fn(u32) + Send + Sync + 'static) {
        thread::spawn(move || [2, 3].map(then));
    }
    type Then = Box<dyn FnOnce(Option<String>, Option<u32>) + Send>;
    fn node(error: Option<&str>, value: Option<u32>, then: Then) {
        then(error.map(Into::into), value);
    }
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            assert_eq!(from_callback(|r| once(r.into_callback())).await, Ok(1));
            assert_eq!(from_callback(|r| many(r.into_fn())).await, Ok(2));
            let answers = |error, value| {
                from_callback(move |resolver: Resolver<Result<u32, String>>| {
                    node(error, value, Box::new(resolver.into_node_callback()));
                })
            };
            assert_eq!(answers(None, Some(4)).await, Ok(Ok(4)), "{kind}");
            assert_eq!(answers(Some("no"), Some(4)).await, Ok(Err("no".into())));
            assert!(answers(None, None).await.is_err(), "{kind}");
        });
    }
}

/// A callback, and what it is given.
fn told<T: Send + 'static>() -> (impl FnOnce(T) + Send + 'static, Promise<T>) {
    let (resolver, promised) = promise();
    (resolver.into_callback(), promised)
}

#[test]
fn a_task_calls_back_however_it_ends_and_once() {
    for (kind, runtime) in runtimes() {
        let (at_the_end, ends) = told();
        runtime.block_on(async {
            let (gate, opened) = oneshot::channel::<()>();
            let waits = tapio::spawn(async move { opened.await.is_ok() });
            let (callback, result) = told();
            waits.on_complete(callback);
            gate.send(()).unwrap();
            assert!(result.await.unwrap().unwrap(), "{kind}");

            let done = tapio::spawn(async { 5 });
            until(|| done.is_finished()).await;
            let (callback, mut result) = told();
            done.on_complete(callback);
            assert_eq!(
                result.try_take().unwrap().unwrap().unwrap(),
                5,
                "{kind}: at once"
            );

            let (callback, result) = told::<Result<(), JoinError>>();
            tapio::spawn(async { panic!("of the task") }).on_complete(callback);
            assert!(result.await.unwrap().unwrap_err().is_panic(), "{kind}");

            let aborted = tapio::spawn(pending::<()>());
            let abort = aborted.abort_handle();
            let (callback, result) = told();
            aborted.on_complete(callback);
            abort.abort();
            assert!(result.await.unwrap().unwrap_err().is_cancelled(), "{kind}");

            let (callback, result) = told();
            task::spawn_blocking(|| 6).on_complete(callback);
            assert_eq!(result.await.unwrap().unwrap(), 6, "{kind}");

            // The end of the runtime is an end as well.
            tapio::spawn(pending::<()>()).on_complete(at_the_end);
        });
        drop(runtime);
        let Poll::Ready(result) = poll_once(ends) else {
            panic!("{kind}: never called");
        };
        assert!(result.unwrap().unwrap_err().is_cancelled(), "{kind}");
    }
}

#[test]
fn a_callback_runs_as_code_of_where_it_was_given_for_its_task() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let handle = tapio::spawn(async {});
            let id = handle.id();
            let (ran, ids) = promise();
            handle.on_complete(move |_| ran.resolve(task::try_id()).unwrap());
            assert_eq!(ids.await.unwrap(), Some(id), "{kind}");
        });
    }
}

#[test]
fn a_panicking_callback_is_reported_and_harms_nobody() {
    for (kind, runtime) in runtimes() {
        let (heard, reports) = mpsc::channel();
        let heard = Mutex::new(heard);
        let listening = on_report(move |report| {
            if let Report::CallbackPanic(panic) = report
                && panic.given_at.file() == file!()
            {
                let _ = heard.lock().unwrap().send(report.to_string());
            }
        });
        runtime.block_on(async {
            let task = tapio::spawn(task::yield_now());
            task.on_complete(|_| panic!("of the callback"));
            // The worker that it ran on is fine.
            until(|| runtime.metrics().num_alive_tasks() == 0).await;
            tapio::spawn(async {}).await.unwrap();
        });
        let report = reports.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(report.contains("of the callback"), "{kind}: {report}");
        assert!(
            report.contains("JoinHandle::on_complete"),
            "{kind}: {report}"
        );
        drop(listening);
    }
}

#[test]
fn promises_call_back_at_once_or_when_resolved_or_broken() {
    let (resolver, promised) = promise();
    resolver.resolve(1).unwrap();
    let (callback, mut result) = told();
    promised.on_complete(callback);
    assert_eq!(result.try_take(), Some(Ok(Ok(1))));

    let (resolver, promised) = promise();
    let (callback, mut result) = told();
    promised.on_complete(callback);
    assert_eq!(result.try_take(), None);
    resolver.resolve(2).unwrap();
    assert_eq!(result.try_take(), Some(Ok(Ok(2))));

    let (resolver, promised) = promise::<()>();
    let (callback, mut result) = told();
    promised.on_complete(callback);
    drop(resolver);
    assert!(result.try_take().unwrap().unwrap().is_err());
}

#[test]
fn a_long_chain_of_callbacks_needs_no_stack() {
    const LINKS: usize = 200_000;
    let (first, mut promised) = promise();
    for _ in 0..LINKS {
        let (resolver, next) = promise();
        promised.on_complete(move |number: Result<usize, _>| {
            resolver.resolve(number.unwrap() + 1).unwrap();
        });
        promised = next;
    }
    first.resolve(0).unwrap();
    assert_eq!(promised.try_take(), Some(Ok(LINKS)));
}

#[test]
fn ends_and_callbacks_that_meet_lose_nothing() {
    const TASKS: usize = 2_000;
    for (kind, runtime) in runtimes() {
        let called = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<JoinHandle<()>> = (0..TASKS).map(|_| runtime.spawn(async {})).collect();
        // On another thread than the one that they end on.
        let other = thread::spawn({
            let called = Arc::clone(&called);
            move || {
                for task in tasks {
                    let called = Arc::clone(&called);
                    task.on_complete(move |_| {
                        called.fetch_add(1, Ordering::SeqCst);
                    });
                }
            }
        });
        runtime.block_on(until(|| called.load(Ordering::SeqCst) == TASKS));
        other.join().unwrap();
        assert_eq!(called.load(Ordering::SeqCst), TASKS, "{kind}");
    }
}
