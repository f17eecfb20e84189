//! A server that is gone is gone: once its process has ended, however it
//! ended, its port refuses at once.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as Peer};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::TcpListener;
use tapio::runtime::DriverKind;

use crate::child::{begin, command};
use crate::rig::{Kind, LOCAL};

/// Set for the process that serves: which runtime it builds.
const SERVER: &str = "TAPIO_TEST_SERVER";
/// What it prints before its address.
const READY: &str = "serving on ";

const ROUNDS: usize = 8;
const CONNECTIONS: usize = 50;
const ATTEMPTS: usize = 1_000;

#[derive(Clone, Copy, Debug)]
enum End {
    /// The runtime is shut down, then the process exits.
    Clean,
    /// The process exits in the middle of everything.
    Exit,
    /// The process is killed.
    Kill,
}

/// A server in a process of its own, with connections that wait for answers.
struct Server {
    child: Child,
    address: SocketAddr,
    peers: Vec<Peer>,
}

impl Server {
    fn start(kind: Kind, end: End) -> Server {
        let how = format!("{} {:?} {end:?}", kind.driver, kind.workers);
        let environment = [(SERVER, Some(OsStr::new(&how)))];
        let mut command = command("stop::a_server_for_the_other_tests", &environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = begin(&mut command);
        let mut lines = BufReader::new(child.stdout.as_mut().expect("piped")).lines();
        let address = loop {
            let line = lines.next().expect("it says where").expect("it is text");
            // The harness may have begun a line of its own.
            if let Some((_, address)) = line.split_once(READY) {
                break address.trim().parse().expect("an address");
            }
        };
        let peers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let mut peer = Peer::connect(address).expect("it serves");
                peer.write_all(b"ping").expect("it serves");
                peer.read_exact(&mut [0; 4]).expect("it answers");
                peer
            })
            .collect();
        Server {
            child,
            address,
            peers,
        }
    }

    /// Ends the server and counts who is accepted once its process is gone.
    fn end(mut self, end: End) -> (usize, Duration) {
        match end {
            End::Kill => self.child.kill().expect("it lives"),
            End::Clean | End::Exit => drop(self.child.stdin.take()),
        }
        let status = self.child.wait().expect("it ends");
        let begin = Instant::now();
        let accepted = (0..ATTEMPTS).filter(|_| is_accepted(self.address)).count();
        let took = begin.elapsed();
        let is_killed = matches!(end, End::Kill);
        assert_eq!(status.success(), !is_killed, "{status}");
        for mut peer in self.peers {
            let seen = peer.read(&mut [0; 1]);
            assert!(matches!(seen, Ok(0) | Err(_)), "a ghost answers: {seen:?}");
        }
        (accepted, took)
    }
}

fn is_accepted(address: SocketAddr) -> bool {
    match Peer::connect(address) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            false
        }
    }
}

fn assert_gone(end: End) {
    for kind in Kind::all() {
        let mut slowest = Duration::ZERO;
        for _ in 0..ROUNDS {
            let (accepted, took) = Server::start(kind, end).end(end);
            assert_eq!(accepted, 0, "connections to a ghost: {end:?}, {kind}");
            slowest = slowest.max(took);
        }
        assert!(
            slowest < Duration::from_secs(2),
            "{ATTEMPTS} refusals took {slowest:?}: {end:?}, {kind}"
        );
    }
}

#[test]
fn a_clean_stop_frees_the_port_at_once() {
    assert_gone(End::Clean);
}

#[test]
fn a_process_that_exits_frees_the_port_at_once() {
    assert_gone(End::Exit);
}

#[test]
fn a_killed_process_frees_the_port_at_once() {
    assert_gone(End::Kill);
}

/// No test but the server itself, when another test starts it.
#[test]
fn a_server_for_the_other_tests() {
    let Ok(how) = env::var(SERVER) else {
        return;
    };
    let driver = if how.starts_with("ring") {
        DriverKind::Ring
    } else {
        DriverKind::Poll
    };
    let workers = how.contains("Some").then_some(2);
    let runtime = Kind { driver, workers }.build();
    runtime.block_on(async {
        let listener = TcpListener::bind(LOCAL).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        writeln!(io::stdout(), "{READY}{address}").expect("the other test reads");
        tapio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                tapio::spawn(async move {
                    let mut buf = [0; 64];
                    while let Ok(1..) = stream.read(&mut buf).await {
                        stream.write_all(&buf[..4]).await.expect("the peer reads");
                    }
                });
            }
        });
        // Until the other test closes this process's input.
        let told = tapio::task::spawn_blocking(|| io::stdin().read(&mut [0; 1]));
        told.await.expect("no panic").expect("a pipe");
    });
    if how.ends_with("Clean") {
        drop(runtime);
    }
    std::process::exit(0);
}
