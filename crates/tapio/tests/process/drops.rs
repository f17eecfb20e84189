//! Futures that are dropped after any number of polls, over whole connections:
//! no byte is lost or doubled, and nothing is left behind.

use std::future::{Future, poll_fn};
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpSocket, TcpStream};
use tapio::runtime::Runtime;
use tapio::time::sleep;

use crate::child::in_child;
use crate::count::{describe_descriptors, descriptors};
use crate::rig::{Kind, LOCAL};

const CASES: u32 = 40;
const CONNECTIONS: usize = 4;
/// At the end of the list of polls stands one that drops nothing, so that
/// everything gets done.
const NEVER: u8 = u8::MAX;

/// How many polls each future gets, in turn, before it is dropped.
struct Polls {
    list: Vec<u8>,
    next: AtomicUsize,
}

impl Polls {
    fn new(list: &[u8], start: usize) -> Polls {
        Polls {
            list: [list, &[NEVER]].concat(),
            next: AtomicUsize::new(start),
        }
    }

    /// What `future` comes to within its polls; it is dropped after that.
    async fn within<F: Future>(&self, future: F) -> Option<F::Output> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let polls = self.list[index % self.list.len()];
        let mut left = polls;
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == NEVER => Poll::Pending,
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                left -= 1;
                Poll::Pending
            }
        })
        .await
    }

    /// Makes futures until one comes to an end.
    async fn retry<F: Future>(&self, mut make: impl FnMut() -> F) -> F::Output {
        loop {
            if let Some(output) = self.within(make()).await {
                return output;
            }
        }
    }
}

/// What byte `at` of a connection is, so that none can stand for another.
fn byte(at: usize) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)) as u8
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

async fn write_all(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], polls: &Polls) {
    let mut written = 0;
    while written < bytes.len() {
        let mut attempt = polls.within(stream.write(&bytes[written..])).await;
        written += attempt.take().map_or(0, |n| n.expect("the peer reads"));
    }
}

async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin), polls: &Polls) -> Vec<u8> {
    let (mut bytes, mut buf) = (Vec::new(), [0; 700]);
    loop {
        match polls.within(stream.read(&mut buf)).await {
            Some(Ok(0)) => return bytes,
            Some(read) => bytes.extend(&buf[..read.expect("the peer writes")]),
            None => {}
        }
    }
}

/// Sends back what comes, until it ends.
async fn echo(stream: TcpStream, polls: Polls) {
    let (mut read, mut write) = stream.into_split();
    let mut buf = [0; 900];
    loop {
        match polls.within(read.read(&mut buf)).await {
            // A connect that was dropped may leave a connection that is reset.
            Some(Ok(0) | Err(_)) => return,
            Some(Ok(read)) => write_all(&mut write, &buf[..read], &polls).await,
            None => {}
        }
    }
}

async fn serve(listener: TcpListener, list: Vec<u8>) {
    let polls = Polls::new(&list, 1);
    for start in 0.. {
        let (stream, _) = polls
            .retry(|| listener.accept())
            .await
            .expect("a connection");
        let polls = Polls::new(&list, start);
        tapio::spawn(echo(stream, polls));
    }
}

/// Sends `length` bytes, and checks that they and nothing else come back.
async fn ask(address: SocketAddr, length: usize, polls: Polls) {
    let connect = || async {
        let socket = TcpSocket::new_v4()?;
        // So little room that both ends wait again and again.
        socket.set_send_buffer_size(4096)?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect(address).await
    };
    let stream = polls.retry(connect).await.expect("a listener");
    let (mut read, mut write) = stream.into_split();
    let sent: Vec<u8> = (0..length).map(byte).collect();
    let expected = checksum(&sent);
    let polls = &polls;
    let sending = async move {
        write_all(&mut write, &sent, polls).await;
        polls.within(sleep(Duration::from_millis(1))).await;
        write.shutdown().await.expect("a connection");
    };
    let (bytes, ()) = futures::join!(read_to_end(&mut read, polls), sending);
    assert_eq!(bytes.len(), length, "bytes are lost or doubled");
    assert_eq!(checksum(&bytes), expected, "bytes are swapped");
}

/// One run of server and clients; everything has ended when it returns.
fn run(runtime: &Runtime, list: &[u8], length: usize) {
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let listener = TcpListener::bind(LOCAL).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tapio::spawn(serve(listener, list.to_vec()));
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|start| tapio::spawn(ask(address, length, Polls::new(list, start))))
            .collect();
        for client in clients {
            client.await.expect("every byte comes back");
        }
        server.abort();
        assert!(server.await.expect_err("it never ends").is_cancelled());
        let limit = Instant::now() + Duration::from_secs(10);
        let left = || {
            (
                metrics.num_alive_tasks(),
                metrics.num_timers(),
                metrics.num_watches(),
            )
        };
        // Connections that nobody uses any more are on their way out.
        while left() != (0, 0, 0) {
            assert!(
                Instant::now() < limit,
                "tasks, timers, watches: {:?}",
                left()
            );
            tapio::task::yield_now().await;
        }
    });
}

fn seed() -> u64 {
    match std::env::var("TAPIO_SEED") {
        Ok(text) => text.parse().expect("TAPIO_SEED is a number"),
        Err(_) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| u64::from(now.subsec_nanos()))
        }
    }
}

#[test]
fn dropped_futures_lose_no_byte_and_leave_nothing() {
    in_child(
        "drops::dropped_futures_lose_no_byte_and_leave_nothing",
        || {
            let seed = seed();
            for kind in Kind::all() {
                let runtime = kind.build();
                run(&runtime, &[0, 1, 2], 10_000);
                let before = descriptors();
                let mut runner = TestRunner::new(Config {
                    cases: CASES,
                    failure_persistence: None,
                    max_shrink_iters: 50,
                    rng_seed: RngSeed::Fixed(seed),
                    ..Config::default()
                });
                let lives = (vec(0..4_u8, 0..8), 1..60_000_usize);
                let outcome = runner.run(&lives, |(list, length)| {
                    run(&runtime, &list, length);
                    Ok(())
                });
                if let Err(error) = outcome {
                    panic!("{kind}: replay with TAPIO_SEED={seed}: {error}");
                }
                let limit = Instant::now() + Duration::from_secs(5);
                while descriptors() != before {
                    let list = describe_descriptors();
                    assert!(Instant::now() < limit, "{kind}: not {before}:\n{list}");
                }
            }
        },
    );
}
