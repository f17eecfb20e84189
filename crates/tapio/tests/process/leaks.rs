//! Runtimes that end in the middle of everything, a few thousand times:
//! afterwards descriptors, threads, tasks, timers, watches and memory are back
//! to where they began.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};

use crate::child::in_children;
use crate::count::{describe_descriptors, descriptors};
use crate::rig::{Kind, LOCAL};
use crate::scene::{self, Closed, Survivors};

/// Runtimes that are built and ended, of each kind.
const ROUNDS: usize = 800;
/// What they may still take: less than the least part of a runtime, each round.
const GROWTH_MAX: usize = 1 << 20;

fn threads() -> usize {
    fs::read_dir("/proc/self/task")
        .expect("/proc is mounted")
        .count()
}

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a count") * rustix::param::page_size()
}

/// How a runtime is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    Drop,
    Timeout,
    Elsewhere,
}

/// One runtime's life.
fn live_and_end(kind: Kind, end: End, closed: SocketAddr) {
    let runtime = kind.builder().max_blocking_threads(1).build();
    let runtime = runtime.expect("a runtime");
    let metrics = runtime.metrics();
    let survivors = runtime.block_on(scene::begin(closed));
    assert!(metrics.num_alive_tasks() > 10 && metrics.num_timers() > 3);
    assert!(metrics.num_watches() > 5 && metrics.blocking_queue_depth() > 0);
    match end {
        End::Drop => drop(runtime),
        End::Timeout => runtime.shutdown_timeout(Duration::from_secs(10)),
        End::Elsewhere => {
            let ending = std::thread::spawn(move || drop(runtime));
            ending.join().expect("a runtime may be dropped anywhere");
        }
    }
    let left = (
        metrics.num_alive_tasks(),
        metrics.num_watches(),
        metrics.num_blocking_threads(),
        metrics.blocking_queue_depth(),
    );
    assert_eq!(
        left,
        (0, 0, 0, 0),
        "tasks, watches, blocking threads and calls"
    );
    outlive(survivors);
    assert_eq!(metrics.num_timers(), 0);
}

/// What outlives its runtime does not hang, and lets go.
fn outlive(survivors: Survivors) {
    let Survivors {
        mut stream,
        mut peer,
        tasks,
        timer,
        others,
    } = survivors;
    assert!(
        block_on(stream.read(&mut [0; 16])).is_err(),
        "nobody watches it"
    );
    drop(stream);
    assert_eq!(peer.read(&mut [0; 16]).expect("a clean close"), 0);
    for (index, task) in tasks.into_iter().enumerate() {
        let ended = block_on(task).map_err(|error| error.is_cancelled());
        assert_eq!(ended, Err(true), "operation {index} was in flight");
    }
    drop(timer);
    drop(others);
}

/// A worker blocks, again and again, while connections that it watched go on
/// under the thread that stands in for it.
fn relieve(kind: Kind) {
    let runtime = kind.build();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let listener = TcpListener::bind(LOCAL).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let client = tapio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a listener");
            for round in 0..20 {
                stream.write_all(&[round]).await.expect("a connection");
                let mut answer = [0];
                stream.read_exact(&mut answer).await.expect("an answer");
                assert_eq!(answer, [round]);
            }
        });
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tapio::spawn(async move {
            let mut question = [0];
            while stream.read_exact(&mut question).await.is_ok() {
                // Waits for a task that needs the timers of this very seat.
                tapio::task::block_in_place(|| {
                    let tick = tapio::spawn(tapio::time::sleep(Duration::from_micros(100)));
                    block_on(tick).expect("somebody stands in");
                });
                stream.write_all(&question).await.expect("a connection");
            }
        })
        .await
        .expect("it serves to the end");
        client.await.expect("every answer came");
    });
    drop(runtime);
    assert_eq!((metrics.num_timers(), metrics.num_watches()), (0, 0));
}

/// Runs `body` in a process without stalls: the report of one loads the
/// program's debug information, which stays, and a worker that is relieved in
/// a long poll is not there when its runtime ends.
fn in_calm_child(name: &str, body: impl FnOnce()) {
    in_children(name, &[&[("TAPIO_STALL_MS", Some("1000".as_ref()))]], body);
}

fn churn(kind: Kind) {
    let closed = Closed::new();
    let mut ends = [End::Drop, End::Timeout, End::Elsewhere]
        .into_iter()
        .cycle();
    assert_level(kind, ROUNDS, || {
        live_and_end(kind, ends.next().expect("endless"), closed.address);
    });
}

/// Makes sure that `round` leaves nothing behind, however often it is called.
fn assert_level(kind: Kind, rounds: usize, mut round: impl FnMut()) {
    // Before the first round: a thread that was joined is in the list for a
    // moment yet.
    let threads_before = threads();
    (0..rounds.div_ceil(16)).for_each(|_| round());
    let before = (descriptors(), resident_bytes());
    (0..rounds).for_each(|_| round());
    assert_eq!(
        descriptors(),
        before.0,
        "{kind}:\n{}",
        describe_descriptors()
    );
    let limit = Instant::now() + Duration::from_secs(5);
    while threads() != threads_before {
        assert!(Instant::now() < limit, "{kind}: {} threads", threads());
        std::thread::yield_now();
    }
    let grown = resident_bytes().saturating_sub(before.1);
    assert!(grown < GROWTH_MAX, "{kind}: grown by {grown} bytes");
}

fn churn_each(workers: Option<usize>) {
    let kinds = Kind::all()
        .into_iter()
        .filter(|kind| kind.workers == workers);
    kinds.for_each(churn);
}

#[test]
fn current_thread_runtimes_leave_nothing() {
    in_calm_child("leaks::current_thread_runtimes_leave_nothing", || {
        churn_each(None)
    });
}

#[test]
fn multi_thread_runtimes_leave_nothing() {
    in_calm_child("leaks::multi_thread_runtimes_leave_nothing", || {
        churn_each(Some(2))
    });
}

#[test]
fn relieved_workers_leave_nothing() {
    in_calm_child("leaks::relieved_workers_leave_nothing", || {
        for kind in Kind::all() {
            for workers in kind.workers.map_or(&[][..], |_| &[1, 2]) {
                let workers = Some(*workers);
                let kind = Kind { workers, ..kind };
                assert_level(kind, 60, || relieve(kind));
            }
        }
    });
}
