//! What the guard adds up by spawn site. Other tests run in the same process
//! meanwhile, so each looks at its own lines only; what the guard makes of a
//! whole program is tested in `tests/process/advice.rs`.

#![expect(unsafe_code, reason = "a foreign descriptor is registered")]

use std::net::Ipv4Addr;
use std::panic::Location;
use std::thread;
use std::time::Duration;

use tapio::guard::{SiteAdvice, SiteKind, advice};
use tapio::io::unix::AsyncFd;
use tapio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tapio::net::{TcpListener, TcpStream, UdpSocket};
use tapio::runtime::Handle;
use tapio::sync::mpsc;
use tapio::task::{JoinHandle, LocalSet, spawn_blocking, spawn_local, yield_now};
use tapio::time;

use crate::support::{Kind, runtimes};

/// What is known of the tasks spawned at a line of this file.
fn site(line: u32) -> Option<SiteAdvice> {
    advice().site(file!(), line).cloned()
}

/// The I/O operations and the calls on other threads of such tasks.
fn counts(line: u32) -> (u64, u64) {
    site(line).map_or((0, 0), |site| (site.io, site.offloads))
}

/// What was counted since `before`, which is then now.
fn since(before: &mut (u64, u64), line: u32) -> (u64, u64) {
    let now = counts(line);
    let before = std::mem::replace(before, now);
    (now.0 - before.0, now.1 - before.1)
}

/// Spawns a task that knows the line of the call, which is its place.
#[track_caller]
fn spawn<F>(handle: &Handle, task: impl FnOnce(u32) -> F) -> (u32, JoinHandle<F::Output>)
where
    F: Future<Output: Send> + Send + 'static,
{
    let line = Location::caller().line();
    (line, handle.spawn(task(line)))
}

/// Keeps the thread until `condition` holds.
fn spin_until(condition: impl Fn() -> bool) {
    let begin = time::Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it never holds");
        std::hint::spin_loop();
    }
}

const MESSAGES: u64 = 50;

/// Accepts one connection and sends back what comes, byte by byte.
async fn echo(listener: TcpListener) -> u64 {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut operations = 1;
    let mut byte = [0];
    while stream.read(&mut byte).await.unwrap() == 1 {
        stream.write_all(&byte).await.unwrap();
        operations += 2;
    }
    // The end of the stream was read, too.
    operations + 1
}

/// Connects, sends and receives.
async fn talk(address: std::net::SocketAddr) -> u64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut operations = 1;
    for _ in 0..MESSAGES {
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        operations += 2;
    }
    operations
}

#[test]
fn io_is_counted_as_it_is_done_for_the_place_that_does_it() {
    let (mut served_before, mut talked_before) = ((0, 0), (0, 0));
    for (kind, runtime) in runtimes() {
        let (server, client) = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let current = Handle::current();
            let (server_line, server) = spawn(&current, |_| echo(listener));
            let (client_line, client) = spawn(&current, |_| talk(address));
            assert_eq!(server.await.unwrap(), 2 * MESSAGES + 2);
            assert_eq!(client.await.unwrap(), 2 * MESSAGES + 1);
            (server_line, client_line)
        });
        let served = since(&mut served_before, server);
        let talked = since(&mut talked_before, client);
        assert_eq!(served, (2 * MESSAGES + 2, 0), "{kind}");
        assert_eq!(talked, (2 * MESSAGES + 1, 0), "{kind}");
        // Threads that end hand their counts in.
        drop(runtime);
        assert_eq!(since(&mut served_before, server), (0, 0), "{kind}");
        assert_eq!(since(&mut talked_before, client), (0, 0), "{kind}");
    }
}

#[test]
fn datagrams_and_foreign_descriptors_count_and_so_does_a_blocked_on_future() {
    let mut before = (0, 0);
    for (kind, runtime) in runtimes() {
        let line = line!() + 1;
        runtime.block_on(async {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = socket.local_addr().unwrap();
            for _ in 0..5 {
                socket.send_to(b"hello", address).await.unwrap();
                socket.recv_from(&mut [0; 5]).await.unwrap();
            }
            // Nothing is there: the kernel has nothing done.
            socket.try_recv(&mut [0; 5]).unwrap_err();

            let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            // SAFETY: the stream owns its descriptor, and keeps it.
            let near = unsafe { AsyncFd::register(near) }.unwrap();
            std::io::Write::write_all(&mut far, b"ab").unwrap();
            let read = |mut stream: &std::os::unix::net::UnixStream| {
                std::io::Read::read(&mut stream, &mut [0])
            };
            near.async_io(Interest::READABLE, read).await.unwrap();
            let mut guard = near.readable().await.unwrap();
            guard.try_io(|near| read(near.get_ref())).unwrap().unwrap();
        });
        assert_eq!(since(&mut before, line), (12, 0), "{kind}");
    }
}

#[test]
fn timers_channels_and_yields_are_no_io_and_blocking_calls_are_counted_apart() {
    let mut before = (0, 0);
    for (kind, runtime) in runtimes() {
        let (to, mut from) = mpsc::channel(1);
        let (line, task) = spawn(runtime.handle(), |_| async move {
            for number in 0..10 {
                time::sleep(Duration::from_micros(100)).await;
                to.send(number).await.unwrap();
                yield_now().await;
            }
            for _ in 0..3 {
                spawn_blocking(|| ()).await.unwrap();
            }
        });
        runtime.block_on(async {
            while from.recv().await.is_some() {}
            task.await.unwrap();
        });
        assert_eq!(since(&mut before, line), (0, 3), "{kind}");
    }
}

#[test]
fn a_callback_has_a_place_of_its_own() {
    let mut before = (0, 0);
    for (kind, runtime) in runtimes() {
        let line = line!() + 5;
        runtime.block_on(async {
            let (near, mut far) = tapio::net::UnixStream::pair().unwrap();
            let (resolver, promised) = tapio::promise::promise();
            let (done, is_done) = tapio::sync::oneshot::channel();
            promised.on_complete(move |text: Result<&[u8], _>| {
                let sent = near.try_write(text.unwrap()).unwrap();
                done.send((near, sent)).unwrap();
            });
            resolver.resolve(&b"x"[..]).unwrap();
            assert_eq!(is_done.await.unwrap().1, 1);
            far.read_u8().await.unwrap();
        });
        assert_eq!(since(&mut before, line), (1, 0), "{kind}");
        let site = site(line).expect("counted");
        assert_eq!(site.kind, SiteKind::Callback, "{kind}");
        let text = site.to_string();
        assert!(text.contains("the callback given at "), "{kind}: {text}");
    }
}

#[test]
fn local_tasks_have_their_own_places() {
    let mut before = (0, 0);
    for (kind, runtime) in runtimes() {
        let line = line!() + 4;
        let local = LocalSet::new();
        let talked = local.block_on(&runtime, async {
            let (mut near, mut far) = tapio::net::UnixStream::pair().unwrap();
            let task = spawn_local(async move {
                near.write_all(b"x").await.unwrap();
                near.read_u8().await.unwrap()
            });
            far.write_all(b"y").await.unwrap();
            (task.await.unwrap(), far.read_u8().await.unwrap())
        });
        assert_eq!(talked, (b'y', b'x'));
        // Nothing had to wait but the local task's read, at the most.
        assert_eq!(since(&mut before, line), (2, 0), "{kind}");
    }
}

#[test]
fn what_runs_is_met_as_long_as_it_runs() {
    const LONG: Duration = Duration::from_millis(50);
    for (kind, runtime) in runtimes() {
        let (line, task) = spawn(runtime.handle(), |line| async move {
            let before = site(line).map_or(Duration::ZERO, |site| site.busy);
            let begin = time::Instant::now();
            // The length is without what it waited for a CPU.
            spin_until(|| {
                site(line)
                    .is_some_and(|site| site.busy >= before + LONG && site.longest_poll >= LONG)
            });
            begin.elapsed()
        });
        let ran = runtime.block_on(task).unwrap();
        let site = site(line).unwrap();
        // One poll was met again and again.
        assert!(site.share > 0.0 && site.share <= 1.0, "{kind}: {site:?}");
        assert!(site.samples > site.polls, "{kind}: {site:?}");
        assert!(ran * 2 > LONG, "{kind}: {ran:?}");
        assert_eq!((site.io, site.kind), (0, SiteKind::Tasks), "{kind}");
        drop(runtime);
    }
}

#[test]
fn who_waits_in_the_kernel_is_told_from_who_computes() {
    for kind in Kind::all() {
        let runtime = kind.build();
        let (computing, computes) = spawn(runtime.handle(), |line| async move {
            spin_until(|| site(line).is_some_and(|site| site.longest_poll.as_millis() > 30));
        });
        let (sleeping, sleeps) = spawn(runtime.handle(), |_| async {
            for _ in 0..20 {
                thread::sleep(Duration::from_millis(20));
                yield_now().await;
            }
        });
        runtime.block_on(async {
            computes.await.unwrap();
            sleeps.await.unwrap();
        });
        let (computes, sleeps) = (site(computing).unwrap(), site(sleeping).unwrap());
        assert!(computes.blocked < 0.3, "{kind}: {computes:?}");
        assert!(sleeps.blocked > 0.7, "{kind}: {sleeps:?}");
    }
}

#[test]
fn all_shares_together_are_no_more_than_all_there_is() {
    let advice = advice();
    let shares: f64 = advice.sites.iter().map(|site| site.share).sum();
    assert!(shares <= 1.0 + 1e-9, "{advice:?}");
    let busy: Duration = advice.sites.iter().map(|site| site.busy).sum();
    assert!(busy <= advice.busy && advice.busy <= advice.worker_time);
}
