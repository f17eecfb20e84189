//! Wakers that are no task's are foreign code. Wherever the runtime calls one,
//! the guard sees it, and those who wait for the thread go on elsewhere.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tapio::guard::{Culprit, Report, Stall, on_report};
use tapio::net::TcpListener;
use tapio::promise::promise;
use tapio::runtime::Runtime;
use tapio::sync::oneshot;
use tapio::task::{JoinHandle, JoinSet};
use tapio::{sync, time};

use crate::support::{Kind, until};
use crate::sync_support::NEVER;

/// A waker that keeps whoever calls it until it is told to go on.
#[derive(Default)]
struct Stuck {
    is_entered: AtomicBool,
    may_go: AtomicBool,
    has_given_up: AtomicBool,
}

impl Stuck {
    fn is_entered(&self) -> bool {
        self.is_entered.load(Ordering::Acquire)
    }

    /// Before it is, nobody polls again what is to call it: that would put
    /// another waker in its place.
    async fn was_called(&self) {
        until(|| self.is_entered()).await;
    }

    fn let_go(&self) {
        self.may_go.store(true, Ordering::Release);
    }
}

impl Wake for Stuck {
    fn wake(self: Arc<Self>) {
        self.is_entered.store(true, Ordering::Release);
        let limit = time::Instant::now() + NEVER;
        while !self.may_go.load(Ordering::Acquire) {
            if time::Instant::now() > limit {
                self.has_given_up.store(true, Ordering::Release);
                return;
            }
        }
    }
}

/// Polls `future` once, to be woken by `stuck`.
fn wait<F: Future>(future: Pin<&mut F>, stuck: &Arc<Stuck>) {
    let waker = Waker::from(Arc::clone(stuck));
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
}

/// Has something on the runtime call the waker, which keeps its thread until
/// another task has run and a timer has fired.
fn others_go_on(
    kind: Kind,
    name: &str,
    have_it_called: impl FnOnce(&Runtime, &Arc<Stuck>) -> JoinHandle<()>,
) {
    let mut builder = kind.builder();
    let runtime = builder.enable_all().rescue(true).build().unwrap();
    let stuck = Arc::new(Stuck::default());
    let caller = have_it_called(&runtime, &stuck);
    let other = {
        let stuck = Arc::clone(&stuck);
        runtime.spawn(async move {
            stuck.was_called().await;
            time::sleep(Duration::from_millis(1)).await;
            stuck.let_go();
        })
    };
    runtime.block_on(async {
        other.await.unwrap();
        caller.await.unwrap();
    });
    let has_given_up = stuck.has_given_up.load(Ordering::Acquire);
    assert!(!has_given_up, "{kind}, {name}: nobody else got on");
}

#[test]
fn a_waker_that_is_stuck_keeps_nobody_whatever_calls_it() {
    for kind in Kind::all() {
        others_go_on(kind, "the handle of an aborted task", |runtime, stuck| {
            let mut handle = runtime.spawn(pending::<()>());
            wait(Pin::new(&mut handle), stuck);
            let stuck = Arc::clone(stuck);
            runtime.spawn(async move {
                handle.abort();
                stuck.was_called().await;
                assert!(handle.await.unwrap_err().is_cancelled());
            })
        });
        others_go_on(kind, "a set of aborted tasks", |runtime, stuck| {
            let mut set = JoinSet::new();
            set.spawn_on(pending::<()>(), runtime.handle());
            wait(pin!(set.join_next()), stuck);
            let stuck = Arc::clone(stuck);
            runtime.spawn(async move {
                set.abort_all();
                stuck.was_called().await;
                let ended = set.join_next().await.unwrap();
                assert!(ended.unwrap_err().is_cancelled());
            })
        });
        others_go_on(kind, "the handle of a task that ends", |runtime, stuck| {
            let (end, ended) = oneshot::channel::<()>();
            let mut handle = runtime.spawn(async { ended.await.unwrap() });
            wait(Pin::new(&mut handle), stuck);
            let stuck = Arc::clone(stuck);
            runtime.spawn(async move {
                end.send(()).unwrap();
                stuck.was_called().await;
                handle.await.unwrap();
            })
        });
        others_go_on(kind, "a lock that is released", |runtime, stuck| {
            let lock = Arc::new(sync::Mutex::new(()));
            let guard = Arc::clone(&lock).try_lock_owned().unwrap();
            let mut waiting = Box::pin(lock.lock_owned());
            wait(waiting.as_mut(), stuck);
            runtime.spawn(async move {
                drop(guard);
                drop(waiting.await);
            })
        });
        others_go_on(kind, "a promise that is kept", |runtime, stuck| {
            let (resolver, mut promise) = promise();
            wait(Pin::new(&mut promise), stuck);
            runtime.spawn(async move {
                resolver.resolve(()).unwrap();
                promise.await.unwrap();
            })
        });
        others_go_on(kind, "a timer", |runtime, stuck| {
            let _entered = runtime.enter();
            let mut sleep = Box::pin(time::sleep(Duration::from_millis(20)));
            wait(sleep.as_mut(), stuck);
            let stuck = Arc::clone(stuck);
            runtime.spawn(async move {
                stuck.was_called().await;
                sleep.await;
            })
        });
    }
}

/// The report on a waker that is called by the end of the runtime, and returns
/// once there is one.
fn report_at_the_end(
    kind: Kind,
    name: &str,
    wait_for_something: impl FnOnce(&Runtime, &Arc<Stuck>) -> Box<dyn Send>,
) -> Stall {
    let name = format!("guard_wakers, {name}, {kind}");
    let stuck = Arc::new(Stuck::default());
    let told = Arc::new(Mutex::new(None));
    let (wanted, tell, opened) = (name.clone(), Arc::clone(&told), Arc::clone(&stuck));
    let _reports = on_report(move |report| {
        if let Report::Stall(stall) = report
            && stall.runtime.as_deref() == Some(&wanted)
        {
            tell.lock().unwrap().get_or_insert(stall.clone());
            opened.let_go();
        }
    });
    let mut builder = kind.builder();
    let runtime = builder.enable_all().name(&*name).build().unwrap();
    let waiting = wait_for_something(&runtime, &stuck);
    drop(runtime);
    drop(waiting);
    assert!(stuck.is_entered(), "{name}: it was not woken");
    let stall = told.lock().unwrap().take();
    stall.unwrap_or_else(|| panic!("{name}: it was not seen"))
}

#[test]
fn a_waker_that_is_stuck_at_the_end_of_its_runtime_is_told_of() {
    for kind in Kind::all() {
        if kind.workers.is_none() {
            // It is ended by whoever drops it, on a thread that is not its.
            continue;
        }
        let stall = report_at_the_end(kind, "the handle of a task", |runtime, stuck| {
            let mut handle = runtime.spawn(pending::<()>());
            wait(Pin::new(&mut handle), stuck);
            Box::new(handle)
        });
        let place = stall
            .culprit
            .location()
            .unwrap_or_else(|| panic!("{stall}"));
        assert!(place.file().ends_with("guard_wakers.rs"), "{stall}");
        let stall = report_at_the_end(kind, "a socket", |runtime, stuck| {
            let bind = TcpListener::bind("127.0.0.1:0");
            let listener = runtime.block_on(bind).unwrap();
            let mut accept = Box::pin(async move { listener.accept().await.is_ok() });
            wait(accept.as_mut(), stuck);
            Box::new(accept)
        });
        assert!(matches!(stall.culprit, Culprit::Waker), "{stall}");
    }
}
