//! A task that was stuck while its runtime ended ends like every other: at its
//! next await, whatever that waits for.

use std::future::Future;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use futures::future::{FutureExt, join_all, select_all};
use futures::stream::{FuturesUnordered, StreamExt};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream, UdpSocket};
use tapio::runtime::{Handle, Runtime};
use tapio::task::{self, JoinSet};
use tapio::time::{self, Sleep};

use crate::support::Kind;

const SHORT: Duration = Duration::from_millis(1);

type Await = fn(Things) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a task had before it was stuck.
struct Things {
    sleep: Option<Pin<Box<Sleep>>>,
    stream: Option<(TcpStream, TcpStream)>,
    child: Option<task::JoinHandle<()>>,
}

/// How a task ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Dropped at its await.
    Dropped,
    WentOn,
    Panicked,
}

/// Reports how its task ended.
struct Ending(Sender<End>, bool);

impl Drop for Ending {
    fn drop(&mut self) {
        let end = match self.1 {
            _ if thread::panicking() => End::Panicked,
            true => End::WentOn,
            false => End::Dropped,
        };
        self.0.send(end).expect("the test waits");
    }
}

async fn sleep() {
    time::sleep(SHORT).await;
}

/// Every kind of thing that a task may wait for.
const AWAITS: &[(&str, Await)] = &[
    ("a new sleep", |_| Box::pin(sleep())),
    ("an old sleep", |things| {
        Box::pin(async { things.sleep.expect("made").await })
    }),
    ("an interval", |_| {
        Box::pin(async {
            let mut interval = time::interval(SHORT);
            interval.tick().await;
            interval.tick().await;
        })
    }),
    ("a timeout", |_| {
        Box::pin(async {
            let never = std::future::pending::<()>();
            time::timeout(SHORT, never).await.unwrap_err();
        })
    }),
    ("many sleeps", |_| {
        Box::pin(async { drop(join_all((0..100).map(|_| sleep())).await) })
    }),
    ("one of many sleeps", |_| {
        Box::pin(async { drop(select_all((0..100).map(|_| Box::pin(sleep()))).await) })
    }),
    ("sleeps of no order", |_| {
        Box::pin(async {
            let mut all: FuturesUnordered<_> = (0..100).map(|_| sleep()).collect();
            while all.next().await.is_some() {}
        })
    }),
    ("a stream that is read", |things| {
        Box::pin(async {
            let (mut near, _far) = things.stream.expect("made");
            near.read_u8().await.unwrap();
        })
    }),
    ("a stream that is full", |things| {
        Box::pin(async {
            let (mut near, _far) = things.stream.expect("made");
            near.write_all(&[0; 64 << 20]).await.unwrap();
        })
    }),
    ("readiness", |things| {
        Box::pin(async {
            let (near, _far) = things.stream.expect("made");
            near.readable().await.unwrap();
        })
    }),
    ("a connection", |_| {
        Box::pin(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            drop(listener.accept().await.unwrap());
        })
    }),
    ("a datagram", |_| {
        Box::pin(async {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            socket.recv(&mut [0]).await.unwrap();
        })
    }),
    ("a task of its own", |_| {
        Box::pin(async { tapio::spawn(async {}).await.unwrap() })
    }),
    ("an old task", |things| {
        Box::pin(async { things.child.expect("made").await.unwrap() })
    }),
    ("a blocking call", |_| {
        Box::pin(async { task::spawn_blocking(|| {}).await.unwrap() })
    }),
    ("a set of tasks", |_| {
        Box::pin(async {
            let mut set = JoinSet::new();
            set.spawn(async {});
            set.join_next().await.unwrap().unwrap();
        })
    }),
    ("standard output", |_| {
        Box::pin(async {
            let mut out = tapio::io::stderr();
            out.write_all(b"").await.unwrap();
            out.flush().await.unwrap();
            // What is written may be out before the end is noticed.
            sleep().await;
        })
    }),
];

async fn things() -> Things {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await;
    let (far, _) = listener.accept().await.unwrap();
    let mut sleep = Box::pin(time::sleep(Duration::from_secs(1_000)));
    // It takes its place in the wheel.
    assert!(futures::poll!(&mut sleep).is_pending());
    Things {
        sleep: Some(sleep),
        stream: Some((near.unwrap(), far)),
        child: Some(tapio::spawn(std::future::pending())),
    }
}

/// A task that is stuck until `free` is dropped and then awaits, and is in a
/// runtime that workers drive.
fn stuck(runtime: &Runtime, then: Await, ends: Sender<End>) -> Sender<()> {
    let (free, is_free) = mpsc::channel::<()>();
    let (begin, has_begun) = mpsc::channel();
    let is_free = Mutex::new(is_free);
    drop(runtime.spawn(async move {
        let mut ending = Ending(ends, false);
        let things = things().await;
        begin.send(()).expect("the test waits");
        let _ = is_free.lock().unwrap().recv();
        then(things).await;
        ending.1 = true;
    }));
    has_begun.recv().expect("it begins");
    free
}

/// Returns once the timers of `runtime` have ended.
fn wait_for_timers(runtime: &Handle) {
    loop {
        let _inside = runtime.enter();
        let mut sleep = Box::pin(time::sleep(Duration::from_secs(1_000)));
        let poll = AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(Waker::noop());
            sleep.as_mut().poll(&mut cx)
        });
        if catch_unwind(poll).is_err() {
            return;
        }
        thread::yield_now();
    }
}

fn kinds() -> impl Iterator<Item = Kind> {
    // With `current_thread`, who blocks on the runtime keeps it.
    Kind::all()
        .into_iter()
        .filter(|kind| kind.workers.is_some())
}

/// Has a task be stuck and then await, and its runtime end meanwhile: free it
/// once `is_time` returns. Returns how the task ended.
fn end_of(kind: Kind, then: Await, is_relieved: bool, is_time: fn(&Handle)) -> End {
    let (ends, end) = mpsc::channel();
    let runtime = kind.build();
    let free = stuck(&runtime, then, ends);
    if is_relieved {
        // Its seat is another thread's as soon as that runs tasks there.
        for _ in 0..2 * kind.workers.unwrap_or(1) {
            runtime.block_on(runtime.spawn(async {})).expect("no panic");
        }
    }
    let handle = runtime.handle().clone();
    let ending = thread::spawn(|| drop(runtime));
    is_time(&handle);
    drop(free);
    let end = end.recv().expect("the task ends");
    ending.join().expect("no panic");
    end
}

/// Returns once `runtime` takes no more tasks.
fn wait_for_refusal(runtime: &Handle) {
    // Until one is refused: another may have run to its end by now.
    while !matches!(runtime.spawn(async {}).now_or_never(), Some(Err(_))) {
        thread::yield_now();
    }
}

#[test]
fn who_was_relieved_before_the_end() {
    for kind in kinds() {
        for (what, then) in AWAITS {
            let end = end_of(kind, *then, true, wait_for_timers);
            assert_eq!(end, End::Dropped, "{kind}: {what}");
        }
    }
}

#[test]
fn who_is_stuck_when_the_end_begins() {
    for kind in kinds() {
        for (what, then) in AWAITS {
            let end = end_of(kind, *then, false, wait_for_refusal);
            assert_eq!(end, End::Dropped, "{kind}: {what}");
        }
    }
}

#[test]
fn who_cannot_end_at_an_await_is_told() {
    // An executor of somebody else's would wait for ever.
    let then: Await = |_| Box::pin(async { futures::executor::block_on(sleep()) });
    for kind in kinds() {
        let end = end_of(kind, then, true, wait_for_timers);
        assert_eq!(end, End::Panicked, "{kind}");
    }
}
