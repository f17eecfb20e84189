//! A storm of stalls: thousands of connections echo checked data while tasks
//! block at random, for random times, in random ways, in the connections'
//! own tasks as well. No byte is lost or changed, no connection ends before
//! its time, nothing is left behind.
//!
//! `TAPIO_STORM_SECS`, `TAPIO_STORM_CONNECTIONS` and `TAPIO_STORM_SEED` make
//! it longer, larger, or the same again.
//!
//! - `random`: numbers from a seed
//! - `ways`: how a task may block

#![expect(
    clippy::print_stdout,
    reason = "whoever makes it rage wants the figures"
)]

mod random;
mod ways;

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tapio::guard::{Report, on_report};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};
use tapio::task::JoinSet;

use self::random::Random;
use crate::child::in_child;
use crate::count::{describe_descriptors, descriptors};
use crate::rig::{Kind, LOCAL};

/// Tasks that do nothing but block.
const BLOCKERS: u64 = 4;
/// A connection's task blocks about once in so many reads.
const READS_PER_STALL: u64 = 400;
/// The longest that anything blocks, in milliseconds.
const STALL_MS_MAX: u64 = 80;
const FRAME_BYTES_MAX: u64 = 6_000;

/// What a storm is made of.
#[derive(Clone, Copy, Debug)]
struct Storm {
    seed: u64,
    connections: u64,
    time: Duration,
}

impl Storm {
    fn from_environment() -> Storm {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Storm {
            seed: number(
                "TAPIO_STORM_SEED",
                now.map_or(0, |now| now.as_micros() as u64),
            ),
            connections: number("TAPIO_STORM_CONNECTIONS", 1_000),
            time: Duration::from_secs(number("TAPIO_STORM_SECS", 3)),
        }
    }
}

fn number<T: FromStr<Err: Display>>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|error| panic!("{name}={text}: {error}")),
        Err(_) => default,
    }
}

/// Accepts and echoes; each connection's task is stuck now and then.
async fn serve(listener: TcpListener, storm: Storm, echoed: Arc<AtomicU64>) {
    for number in 0..storm.connections {
        let (stream, _) = listener.accept().await.expect("a connection");
        let random = Random::new(storm.seed, number);
        tapio::spawn(echo(stream, random, Arc::clone(&echoed)));
    }
}

async fn echo(mut stream: TcpStream, mut random: Random, echoed: Arc<AtomicU64>) {
    let mut bytes = vec![0; 4096];
    loop {
        let count = stream.read(&mut bytes).await.expect("a connection");
        if count == 0 {
            return;
        }
        if random.one_in(READS_PER_STALL) {
            ways::block(&mut random, STALL_MS_MAX).await;
        }
        stream.write_all(&bytes[..count]).await.expect("the peer");
        echoed.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Blocks again and again, on whatever worker it comes to.
async fn blocker(mut random: Random, end: Instant) {
    while Instant::now() < end {
        tapio::time::sleep(Duration::from_millis(random.below(20))).await;
        ways::block(&mut random, STALL_MS_MAX).await;
    }
}

/// Sends frames of random lengths, some before the answers to those before
/// have come, and checks every byte. Says how many bytes came back.
async fn client(address: SocketAddr, mut random: Random, end: Instant) -> io::Result<u64> {
    let stream = TcpStream::connect(address).await?;
    let (mut reading, mut writing) = stream.into_split();
    // Both sides draw the same bytes from the same seed.
    let bytes = random.fork();
    let mut expected = bytes.clone();
    let writer = tapio::spawn(async move {
        let mut bytes = bytes;
        let mut sent = 0;
        while Instant::now() < end {
            let frame = bytes.frame(1 + random.below(FRAME_BYTES_MAX));
            writing.write_all(&frame).await?;
            sent += frame.len() as u64;
            if random.one_in(2) {
                tapio::time::sleep(Duration::from_millis(random.below(200))).await;
            }
        }
        writing.shutdown().await?;
        Ok::<_, io::Error>(sent)
    });
    let mut answer = vec![0; 4096];
    let mut received = 0;
    loop {
        let count = reading.read(&mut answer).await?;
        if count == 0 {
            break;
        }
        for (offset, byte) in answer[..count].iter().enumerate() {
            let at = received + offset as u64;
            assert_eq!(*byte, expected.byte(), "byte {at} was lost or changed");
        }
        received += count as u64;
    }
    let sent = writer.await.expect("the writer does not panic")?;
    assert_eq!(received, sent, "all came back before the end of the stream");
    Ok(received)
}

fn rage(kind: Kind, storm: Storm) {
    let server = kind.build();
    let metrics = server.metrics();
    let end = Instant::now() + storm.time;
    let echoed = Arc::new(AtomicU64::new(0));
    let listener = server.block_on(TcpListener::bind(LOCAL)).expect("a port");
    let address = listener.local_addr().expect("bound");
    let serving = server.spawn(serve(listener, storm, Arc::clone(&echoed)));
    let blockers: Vec<_> = (0..BLOCKERS)
        .map(|number| server.spawn(blocker(Random::new(!storm.seed, number), end)))
        .collect();

    let clients = Kind {
        workers: Some(1),
        ..kind
    };
    let clients = clients.build();
    let received = clients.block_on(async {
        let mut all = JoinSet::new();
        for number in 0..storm.connections {
            let random = Random::new(storm.seed.rotate_left(32), number);
            all.spawn(client(address, random, end));
        }
        let mut received = 0;
        while let Some(ended) = all.join_next().await {
            let outcome = ended.expect("no client panics");
            received += outcome.unwrap_or_else(|error| panic!("a connection ended: {error}"));
        }
        received
    });
    server.block_on(async {
        serving.await.expect("it accepts them all");
        for blocker in blockers {
            blocker.await.expect("no blocker panics");
        }
        // The connections' tasks end once their streams have.
        while metrics.num_alive_tasks() > 0 {
            tapio::task::yield_now().await;
        }
    });
    assert_eq!(received, echoed.load(Ordering::Relaxed), "{storm:?}");
    assert!(
        received > storm.connections,
        "everybody took part: {received}"
    );
    assert!(metrics.num_stalls() > 0 && metrics.num_rescues() > 0);
    assert_eq!((metrics.num_timers(), metrics.num_watches()), (0, 0));
    println!(
        "{kind}: {received} bytes over {} connections, {} stalls, {} rescues, {} starved",
        storm.connections,
        metrics.num_stalls(),
        metrics.num_rescues(),
        metrics.num_starved(),
    );
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .expect("/proc is mounted")
        .count()
}

#[test]
fn a_storm_of_stalls_loses_nothing() {
    in_child("storm::a_storm_of_stalls_loses_nothing", || {
        let storm = Storm::from_environment();
        println!("{storm:?}");
        // So that a thousand reports are counted and not printed.
        let counted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&counted);
        let _listening = on_report(move |report| {
            if matches!(report, Report::Stall(_)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let before = (descriptors(), threads());
        for kind in Kind::all() {
            if kind.workers.is_none() {
                continue;
            }
            rage(kind, storm);
            let limit = Instant::now() + Duration::from_secs(10);
            while (descriptors(), threads()) != before {
                assert!(
                    Instant::now() < limit,
                    "{kind}: {} threads, descriptors:\n{}",
                    threads(),
                    describe_descriptors()
                );
                std::thread::yield_now();
            }
        }
        assert!(counted.load(Ordering::Relaxed) > 0, "the stalls were told");
    });
}
