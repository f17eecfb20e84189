//! Runtimes that end in the middle of everything, a few thousand times:
//! afterwards descriptors, threads, tasks, timers, watches and memory are back
//! to where they began.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use tapio::io::AsyncReadExt;

use crate::child::in_child;
use crate::count::{describe_descriptors, descriptors};
use crate::rig::Kind;
use crate::scene::{self, Closed, Survivors};

/// Runtimes that are built and ended, of each kind.
const ROUNDS: usize = 800;
/// After these the allocator and the caches of the system have what they need.
const WARM_UP: usize = 50;
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

fn churn(kind: Kind) {
    let closed = Closed::new();
    let ends = [End::Drop, End::Timeout, End::Elsewhere];
    let mut ends = ends.into_iter().cycle();
    let mut round = || live_and_end(kind, ends.next().expect("endless"), closed.address);
    (0..WARM_UP).for_each(|_| round());
    let before = (descriptors(), threads(), resident_bytes());
    (0..ROUNDS).for_each(|_| round());
    assert_eq!(
        descriptors(),
        before.0,
        "{kind}:\n{}",
        describe_descriptors()
    );
    let limit = Instant::now() + Duration::from_secs(5);
    while threads() != before.1 {
        assert!(Instant::now() < limit, "{kind}: {} threads", threads());
        std::thread::yield_now();
    }
    let grown = resident_bytes().saturating_sub(before.2);
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
    in_child("leaks::current_thread_runtimes_leave_nothing", || {
        churn_each(None)
    });
}

#[test]
fn multi_thread_runtimes_leave_nothing() {
    in_child("leaks::multi_thread_runtimes_leave_nothing", || {
        churn_each(Some(2))
    });
}
