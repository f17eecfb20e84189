//! Who has nothing to do does nothing: a thousand open connections, no timer
//! due, and no thread wakes up.

use std::fs;
use std::net::TcpStream as Peer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tapio::io::AsyncReadExt;
use tapio::net::TcpListener;

use crate::child::in_child;
use crate::rig::{Kind, LOCAL};

const CONNECTIONS: usize = 1_000;
const WINDOW: Duration = Duration::from_secs(3);
/// Names the threads that are watched; the kernel keeps fifteen bytes of it.
const NAME: &str = "idle-runtime";
/// The thread that looks at the others: it sleeps when they do.
const GUARD: &str = "tapio-guard";

/// How often the runtime's threads were put on or off a core so far, and how
/// many they are.
fn switches() -> (u64, usize) {
    let (mut switches, mut threads) = (0, 0);
    let list = fs::read_dir("/proc/self/task").expect("/proc is mounted");
    for task in list.flatten() {
        let Ok(status) = fs::read_to_string(task.path().join("status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        if [NAME, GUARD].contains(&&*field("Name:")) {
            threads += 1;
            for kind in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
                switches += field(kind).parse::<u64>().expect("a count");
            }
        }
    }
    (switches, threads)
}

/// Opens the connections and leaves each in a read that waits.
async fn serve(listener: TcpListener, reading: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let reading = Arc::clone(&reading);
        tapio::spawn(async move {
            let mut buf = [0; 16];
            loop {
                reading.fetch_add(1, Ordering::Relaxed);
                match stream.read(&mut buf).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        });
    }
}

fn assert_idle(kind: Kind) {
    let reading = Arc::new(AtomicUsize::new(0));
    let (give, take) = std::sync::mpsc::channel();
    let counted = Arc::clone(&reading);
    let (end, until) = tapio::sync::oneshot::channel::<()>();
    // A `current_thread` runtime works on this thread, the other on its own.
    let driving = thread::Builder::new().name(NAME.into()).spawn(move || {
        let runtime = kind.builder().thread_name(NAME).build().expect("a runtime");
        let metrics = runtime.metrics();
        runtime.block_on(async {
            let listener = TcpListener::bind(LOCAL).await.expect("a port");
            give.send((listener.local_addr().expect("bound"), metrics))
                .expect("the test waits for it");
            tapio::spawn(serve(listener, counted));
            // A timer that is not due wakes nobody before its time.
            tapio::spawn(tapio::time::sleep(Duration::from_secs(3_600)));
            let _ = until.await;
        });
    });
    let driving = driving.expect("a thread");
    let (address, metrics) = take.recv().expect("it listens");
    let peers: Vec<_> = (0..CONNECTIONS)
        .map(|_| Peer::connect(address).expect("a connection"))
        .collect();
    // Each connection has carried something before it falls idle.
    for mut peer in &peers {
        std::io::Write::write_all(&mut peer, b"x").expect("a connection");
    }
    // For each worker one more stands by; one that was started since another
    // was stuck, on a busy machine, stays for ten seconds more.
    let threads = 2 * kind.workers.unwrap_or(0) + 2;
    let limit = Instant::now() + Duration::from_secs(40);
    while reading.load(Ordering::Relaxed) < 2 * CONNECTIONS
        || metrics.num_watches() < CONNECTIONS
        || switches().1 != threads
        || switches() != {
            thread::sleep(Duration::from_millis(100));
            switches()
        }
    {
        assert!(Instant::now() < limit, "{kind} does not come to rest");
    }
    let before = switches();
    thread::sleep(WINDOW);
    let after = switches();
    assert_eq!(after.1, threads, "the threads that count");
    assert_eq!(after.0 - before.0, 0, "wake-ups in {WINDOW:?} on {kind}");
    drop(end);
    driving.join().expect("the runtime ends");
    drop(peers);
}

#[test]
fn a_thousand_idle_connections_wake_nobody() {
    in_child("idle::a_thousand_idle_connections_wake_nobody", || {
        Kind::all().into_iter().for_each(assert_idle);
    });
}
