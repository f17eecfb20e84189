//! What dropping a socket does, and when.

use std::io::{ErrorKind, Read};
use std::sync::mpsc;
use std::time::Duration;

use futures::FutureExt;
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::runtimes;

#[test]
fn a_listeners_port_is_free_in_the_same_poll() {
    for (kind, runtime) in runtimes() {
        let body = async move {
            let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            for _ in 0..50 {
                // Have the driver watch it.
                assert!(listener.accept().now_or_never().is_none());
                drop(listener);
                let refused = std::net::TcpStream::connect(addr).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{kind}");
                listener = TcpListener::watch_again(addr);
            }
            let (near, far) = futures::join!(TcpStream::connect(addr), listener.accept());
            near.and(far).unwrap();
        };
        runtime.block_on(async { tapio::task::spawn(body).await.unwrap() });
    }
}

/// Binding an address is done in one poll.
trait WatchAgain {
    fn watch_again(addr: std::net::SocketAddr) -> TcpListener;
}

impl WatchAgain for TcpListener {
    fn watch_again(addr: std::net::SocketAddr) -> TcpListener {
        TcpListener::bind(addr)
            .now_or_never()
            .expect("no lookup")
            .expect("the port is free")
    }
}

#[test]
fn a_listeners_port_is_free_when_another_thread_drops_it() {
    for (kind, runtime) in runtimes() {
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            for _ in 0..20 {
                assert!(listener.accept().now_or_never().is_none());
                let handle = handle.clone();
                let bound = std::thread::spawn(move || {
                    let _context = handle.enter();
                    drop(listener);
                    TcpListener::bind(addr).now_or_never().expect("no lookup")
                });
                listener = bound
                    .join()
                    .unwrap()
                    .unwrap_or_else(|error| panic!("{kind}: {error}"));
            }
        });
    }
}

#[test]
fn a_udp_port_is_free_in_the_same_poll() {
    for (kind, runtime) in runtimes() {
        let body = async move {
            let mut socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let addr = socket.local_addr().unwrap();
            for _ in 0..50 {
                assert!(socket.recv(&mut [0; 8]).now_or_never().is_none());
                drop(socket);
                socket = UdpSocket::bind(addr)
                    .now_or_never()
                    .expect("no lookup")
                    .unwrap_or_else(|error| panic!("{kind}: {error}"));
            }
        };
        runtime.block_on(async { tapio::task::spawn(body).await.unwrap() });
    }
}

#[test]
fn a_udp_port_is_free_when_another_thread_drops_it() {
    for (kind, runtime) in runtimes() {
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let mut socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let addr = socket.local_addr().unwrap();
            for _ in 0..20 {
                assert!(socket.recv(&mut [0; 8]).now_or_never().is_none());
                let handle = handle.clone();
                let bound = std::thread::spawn(move || {
                    let _context = handle.enter();
                    drop(socket);
                    UdpSocket::bind(addr).now_or_never().expect("no lookup")
                });
                socket = bound
                    .join()
                    .unwrap()
                    .unwrap_or_else(|error| panic!("{kind}: {error}"));
            }
        });
    }
}

#[test]
fn the_peer_reads_the_end_as_soon_as_a_stream_is_dropped() {
    for (kind, runtime) in runtimes() {
        let body = async move {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let mut near = TcpStream::connect(addr).await.unwrap();
            let (mut far, _) = listener.accept().unwrap();
            far.set_nonblocking(true).unwrap();
            // Have the driver watch both directions.
            assert!(near.read(&mut [0; 8]).now_or_never().is_none());
            near.writable().await.unwrap();
            near.write_all(b"bye").await.unwrap();
            drop(near);
            // Same poll, no time for anybody else: over the loopback the end is
            // there when `close` returns, if it closed the connection.
            let mut said = Vec::new();
            far.read_to_end(&mut said)
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_eq!(said, b"bye", "{kind}");
        };
        runtime.block_on(async { tapio::task::spawn(body).await.unwrap() });
    }
}

#[test]
fn the_peer_reads_the_end_when_another_thread_drops_a_stream() {
    for (kind, runtime) in runtimes() {
        let (send, receive) = mpsc::channel();
        let peer = std::thread::spawn(move || {
            let mut far: std::net::TcpStream = receive.recv().unwrap();
            // A bound for a test that fails; the end comes at once.
            far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            far.read(&mut [0; 8])
        });
        runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let mut near = TcpStream::connect(addr).await.unwrap();
            assert!(near.read(&mut [0; 8]).now_or_never().is_none());
            send.send(listener.accept().unwrap().0).unwrap();
            std::thread::spawn(move || drop(near)).join().unwrap();
            // The runtime goes on, so that its driver lets go of the file.
            tapio::task::spawn_blocking(move || peer.join().unwrap())
                .await
                .unwrap()
                .map(|len| assert_eq!(len, 0, "{kind}"))
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
        });
    }
}
