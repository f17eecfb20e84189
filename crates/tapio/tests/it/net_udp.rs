//! UDP: one socket and many tasks, errors that come back, looking ahead.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tapio::io::ReadBuf;
use tapio::net::UdpSocket;

use crate::support::{counted, runtimes, until};

async fn pair() -> (UdpSocket, UdpSocket) {
    let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    near.connect(far.local_addr().unwrap()).await.unwrap();
    far.connect(near.local_addr().unwrap()).await.unwrap();
    (near, far)
}

#[test]
fn everybody_who_waits_for_readiness_is_told() {
    const WAITERS: usize = 40;
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = pair().await;
            let far = Arc::new(far);
            let waiting = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..WAITERS)
                .map(|_| {
                    let (far, waiting) = (Arc::clone(&far), Arc::clone(&waiting));
                    tapio::task::spawn(async move {
                        let mut is_first = true;
                        counted(far.readable(), || {
                            if std::mem::take(&mut is_first) {
                                waiting.fetch_add(1, Ordering::SeqCst);
                            }
                        })
                        .await
                    })
                })
                .collect();
            until(|| waiting.load(Ordering::SeqCst) == WAITERS).await;
            near.send(b"one for all").await.unwrap();
            for task in tasks {
                task.await
                    .unwrap()
                    .unwrap_or_else(|error| panic!("{kind}: {error}"));
            }
            // The datagram is still there.
            assert_eq!(far.try_recv(&mut [0; 64]).unwrap(), 11, "{kind}");
        });
    }
}

#[test]
fn each_datagram_reaches_one_of_many_receivers() {
    const DATAGRAMS: u8 = 100;
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = pair().await;
            let far = Arc::new(far);
            let tasks: Vec<_> = (0..DATAGRAMS)
                .map(|_| {
                    let far = Arc::clone(&far);
                    tapio::task::spawn(async move {
                        let mut buf = [0; 8];
                        far.recv(&mut buf).await.map(|len| (len, buf[0]))
                    })
                })
                .collect();
            for number in 0..DATAGRAMS {
                near.send(&[number]).await.unwrap();
            }
            let mut heard = BTreeSet::new();
            for task in tasks {
                let (len, number) = task.await.unwrap().unwrap();
                assert_eq!(len, 1, "{kind}");
                heard.insert(number);
            }
            assert_eq!(heard.len(), usize::from(DATAGRAMS), "{kind}");
        });
    }
}

#[test]
fn an_unreachable_peer_is_an_error_to_receive_and_then_forgotten() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let addr = gone.local_addr().unwrap();
            near.connect(addr).await.unwrap();
            drop(gone);
            near.send(b"anybody?").await.unwrap();
            let error = near.recv(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{kind}");

            let back = UdpSocket::bind(addr).await.unwrap();
            receives_quietly(&kind.to_string(), near, &back).await;
        });
    }
}

#[test]
fn an_error_that_somebody_else_took_is_nothing_to_receive() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let addr = gone.local_addr().unwrap();
            near.connect(addr).await.unwrap();
            drop(gone);
            near.send(b"anybody?").await.unwrap();
            near.ready(tapio::io::Interest::READABLE | tapio::io::Interest::ERROR)
                .await
                .unwrap();
            assert!(near.take_error().unwrap().is_some(), "{kind}");

            let back = UdpSocket::bind(addr).await.unwrap();
            receives_quietly(&kind.to_string(), near, &back).await;
        });
    }
}

/// Receives when `back` sends something, and does not spin until then.
async fn receives_quietly(kind: &str, near: UdpSocket, back: &UdpSocket) {
    let to = near.local_addr().unwrap();
    let polls = Arc::new(AtomicUsize::new(0));
    let task = tapio::task::spawn({
        let polls = Arc::clone(&polls);
        async move {
            let mut buf = [0; 8];
            let receive = near.recv(&mut buf);
            counted(receive, || _ = polls.fetch_add(1, Ordering::SeqCst)).await
        }
    });
    until(|| polls.load(Ordering::SeqCst) > 0).await;
    for _ in 0..1000 {
        tapio::task::yield_now().await;
    }
    let polls = polls.load(Ordering::SeqCst);
    assert!(
        polls < 10,
        "{kind}: polled {polls} times while nothing came"
    );
    back.send_to(b"here", to).await.unwrap();
    assert_eq!(task.await.unwrap().unwrap(), 4, "{kind}");
}

#[test]
fn peeking_leaves_the_datagram() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = pair().await;
            let sender = near.local_addr().unwrap();
            let mut buf = [0; 3];
            let (peeked, sent) = futures::join!(far.peek_sender(), near.send(b"hello"));
            sent.unwrap();
            assert_eq!(peeked.unwrap(), sender, "{kind}");
            assert_eq!(far.peek(&mut buf).await.unwrap(), 3, "{kind}");
            assert_eq!(
                far.peek_from(&mut buf).await.unwrap(),
                (3, sender),
                "{kind}"
            );
            assert_eq!(far.try_peek(&mut buf).unwrap(), 3, "{kind}");
            assert_eq!(far.try_peek_from(&mut buf).unwrap(), (3, sender), "{kind}");
            assert_eq!(far.try_peek_sender().unwrap(), sender, "{kind}");
            let mut room = ReadBuf::new(&mut buf);
            let peeked = poll_fn(|cx| far.poll_peek_from(cx, &mut room)).await;
            assert_eq!(
                (peeked.unwrap(), room.filled()),
                (sender, &b"hel"[..]),
                "{kind}"
            );
            let mut whole = Vec::with_capacity(16);
            let received = far.recv_buf_from(&mut whole).await.unwrap();
            assert_eq!(
                (received, &whole[..]),
                ((5, sender), &b"hello"[..]),
                "{kind}"
            );
            assert_eq!(
                far.try_recv(&mut buf).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
        });
    }
}

#[test]
fn polling_sends_and_receives() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = pair().await;
            let to = far.local_addr().unwrap();
            assert_eq!(
                poll_fn(|cx| near.poll_send_to(cx, b"one", to))
                    .await
                    .unwrap(),
                3
            );
            assert_eq!(poll_fn(|cx| near.poll_send(cx, b"two")).await.unwrap(), 3);
            assert_eq!(near.try_send_to(b"three", to).unwrap(), 5);
            assert_eq!(
                near.send_to(b"four", ("localhost", to.port()))
                    .await
                    .unwrap(),
                4
            );
            for expected in ["one", "two", "three", "four"] {
                let mut storage = [std::mem::MaybeUninit::uninit(); 16];
                let mut room = ReadBuf::uninit(&mut storage);
                let sender = poll_fn(|cx| far.poll_recv_from(cx, &mut room)).await;
                assert_eq!(sender.unwrap(), near.local_addr().unwrap(), "{kind}");
                assert_eq!(room.filled(), expected.as_bytes(), "{kind}");
            }
        });
    }
}

#[test]
fn options_read_back_as_they_were_set() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.set_broadcast(true).unwrap();
            socket.set_multicast_loop_v4(false).unwrap();
            socket.set_multicast_ttl_v4(3).unwrap();
            socket.set_ttl(9).unwrap();
            socket.set_tos_v4(0x10).unwrap();
            assert!(socket.broadcast().unwrap(), "{kind}");
            assert!(!socket.multicast_loop_v4().unwrap(), "{kind}");
            assert_eq!(socket.multicast_ttl_v4().unwrap(), 3, "{kind}");
            assert_eq!(socket.ttl().unwrap(), 9, "{kind}");
            assert_eq!(socket.tos_v4().unwrap(), 0x10, "{kind}");
            assert_eq!(socket.device().unwrap(), None, "{kind}");
            let socket = UdpSocket::from_std(socket.into_std().unwrap()).unwrap();
            assert_eq!(socket.ttl().unwrap(), 9, "{kind}");
        });
    }
}
