//! Calls that block, and the threads for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use tapio::runtime::Handle;
use tapio::task::{self, yield_now};

use crate::support::{Kind, runtimes, until};

#[test]
fn a_call_runs_on_a_thread_of_its_own_inside_of_the_runtime() {
    for (kind, runtime) in runtimes() {
        let here = thread::current().id();
        let id = runtime.handle().id();
        let call = runtime.spawn_blocking(move || {
            assert_ne!(thread::current().id(), here);
            assert_eq!(Handle::current().id(), id);
            // It may block, and so drive a future.
            let (value, task_id) = Handle::current().block_on(async { (9, task::try_id()) });
            assert_eq!(task_id, task::try_id(), "a call is a task");
            value
        });
        let call_id = call.id();
        assert_ne!(
            runtime.block_on(async { tapio::spawn(async { task::id() }).await.unwrap() }),
            call_id
        );
        assert_eq!(runtime.block_on(call).expect("it ends"), 9, "{kind}");
    }
}

#[test]
fn a_panic_is_the_calls_result() {
    for (kind, runtime) in runtimes() {
        let call = runtime.spawn_blocking(|| panic!("in a call"));
        let joined: Result<(), _> = runtime.block_on(call);
        let payload = joined.expect_err("it panicked").into_panic();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"in a call"), "{kind}");
        let after = runtime.block_on(runtime.spawn_blocking(|| 1));
        assert_eq!(after.expect("threads are left"), 1, "{kind}");
    }
}

#[test]
fn calls_beyond_the_limit_wait_in_line() {
    for kind in Kind::all() {
        let runtime = kind.builder().max_blocking_threads(2).build();
        let runtime = runtime.expect("a runtime");
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let order = Arc::new(Mutex::new(Vec::new()));
        let calls: Vec<_> = (0..50)
            .map(|number| {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                let order = Arc::clone(&order);
                runtime.spawn_blocking(move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let thread = thread::current().id();
                    order.lock().expect("no panic").push((thread, number));
                    thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        runtime.block_on(async {
            for call in calls {
                call.await.expect("it ends");
            }
        });
        assert!(most.load(Ordering::SeqCst) <= 2, "{kind}");
        // Taken in line: no thread takes a call that stands before its last.
        let order = order.lock().expect("no panic");
        for (place, (thread, number)) in order.iter().enumerate() {
            let before = order[..place].iter().rfind(|(other, _)| other == thread);
            let is_in_line = before.is_none_or(|(_, before)| before < number);
            assert!(is_in_line, "{kind}: {order:?}");
        }
    }
}

#[test]
fn an_abort_reaches_only_calls_that_wait() {
    for kind in Kind::all() {
        let runtime = kind.builder().max_blocking_threads(1).build();
        let runtime = runtime.expect("a runtime");
        let (began, has_begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let first = runtime.spawn_blocking(move || {
            let _ = began.send(());
            gone.recv()
        });
        let held = Arc::new(());
        let holds = Arc::clone(&held);
        let second = runtime.spawn_blocking(move || drop(holds));
        has_begun.recv().expect("it begins");
        first.abort();
        second.abort();
        go.send(()).expect("it waits");
        let first = runtime.block_on(first);
        first.expect("it had begun").expect("it was told to go on");
        let second = runtime.block_on(second);
        assert!(second.expect_err("it waited").is_cancelled(), "{kind}");
        assert_eq!(Arc::strong_count(&held), 1, "{kind}");
    }
}

#[test]
fn threads_are_used_again_and_end_when_idle() {
    for kind in Kind::all() {
        let runtime = kind
            .builder()
            .thread_keep_alive(Duration::from_millis(20))
            .build()
            .expect("a runtime");
        let ids: Vec<_> = (0..50)
            .map(|_| {
                let call = runtime.spawn_blocking(|| thread::current().id());
                runtime.block_on(call).expect("it ends")
            })
            .collect();
        let different: std::collections::HashSet<_> = ids.iter().collect();
        // A thread that has answered is not yet back in line, so that a new
        // one may be started now and then.
        assert!(different.len() < 25, "{kind}: {}", different.len());
        let metrics = runtime.metrics();
        runtime.block_on(until(|| metrics.num_blocking_threads() == 0));
        let again = runtime.block_on(runtime.spawn_blocking(|| 1));
        assert_eq!(again.expect("it ends"), 1, "{kind}");
    }
}

#[test]
fn threads_may_be_kept_for_ever() {
    for kind in Kind::all() {
        let runtime = kind.builder().thread_keep_alive(Duration::MAX).build();
        let runtime = runtime.expect("a runtime");
        for number in 0..3 {
            let call = runtime.block_on(runtime.spawn_blocking(move || number));
            assert_eq!(call.expect("it ends"), number, "{kind}");
        }
    }
}

#[test]
fn hooks_and_names_are_for_every_thread() {
    for kind in Kind::all() {
        let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (starts, stops) = (Arc::clone(&started), Arc::clone(&stopped));
        let runtime = kind
            .builder()
            .thread_name("named")
            .on_thread_start(move || {
                starts.fetch_add(1, Ordering::SeqCst);
            })
            .on_thread_stop(move || {
                stops.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .expect("a runtime");
        let name = || thread::current().name().map(str::to_owned);
        let call = runtime.block_on(runtime.spawn_blocking(name));
        assert_eq!(call.expect("it ends").as_deref(), Some("named"), "{kind}");
        if kind.workers.is_some() {
            let task = runtime.block_on(runtime.spawn(async move { name() }));
            assert_eq!(task.expect("it ends").as_deref(), Some("named"), "{kind}");
        }
        drop(runtime);
        // For each worker one more stands by.
        let threads = 2 * kind.workers.unwrap_or(0) + 1;
        assert_eq!(started.load(Ordering::SeqCst), threads, "{kind}");
        assert_eq!(stopped.load(Ordering::SeqCst), threads, "{kind}");
    }
}

#[test]
fn a_call_has_no_budget_to_run_out_of() {
    for (kind, runtime) in runtimes() {
        let call = runtime
            .spawn_blocking(|| (0..1000).all(|_| task::consume_budget().now_or_never().is_some()));
        assert!(runtime.block_on(call).expect("it ends"), "{kind}");
    }
}

#[test]
fn the_budget_ends_a_task_that_is_always_ready() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let busy = tapio::spawn(async {
                loop {
                    task::consume_budget().await;
                }
            });
            for _ in 0..10 {
                tapio::spawn(async {}).await.expect("it gets its turn");
                yield_now().await;
            }
            busy.abort();
            assert!(busy.await.expect_err("aborted").is_cancelled(), "{kind}");
            let free = task::unconstrained(async {
                for _ in 0..1000 {
                    task::consume_budget().await;
                }
            });
            assert!(free.now_or_never().is_some(), "{kind}");
        });
    }
}

#[test]
fn a_call_that_meets_the_end_of_the_only_thread_is_not_lost() {
    for kind in Kind::all() {
        let runtime = kind
            .builder()
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::ZERO)
            .build()
            .expect("a runtime");
        for number in 0..500 {
            let call = runtime.block_on(runtime.spawn_blocking(move || number));
            assert_eq!(call.expect("it ends"), number, "{kind}");
        }
    }
}
