//! TCP: connecting, closing, options, and the nonblocking methods.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt;
use tapio::io::{AsyncReadExt, AsyncWriteExt, Interest, Ready};
use tapio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::runtimes;

/// Two ends of one connection: who connected, and who accepted.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (near, far) = futures::join!(TcpStream::connect(addr), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// An address that refuses, for as long as the socket lives: it is bound, so
/// nobody else can take it, and does not listen.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

#[test]
fn a_refused_connection_is_an_error() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (_socket, addr) = refusing();
            let error = TcpStream::connect(addr).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{kind}");
            assert!(error.raw_os_error().is_some(), "{kind}");
            let socket = TcpSocket::new_v4().unwrap();
            let error = socket.connect(addr).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{kind}");
        });
    }
}

#[test]
fn each_address_is_tried_and_the_last_error_told() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let good = listener.local_addr().unwrap();
            let (_socket, bad) = refusing();

            let stream = TcpStream::connect(&[bad, good][..]).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), good, "{kind}");
            let error = TcpStream::connect(&[bad, bad][..]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{kind}");
            let error = TcpStream::connect(&[][..]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{kind}");

            let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let second = TcpListener::bind(&[good, free][..]).await.unwrap();
            assert_ne!(second.local_addr().unwrap(), good, "{kind}");
            let error = TcpListener::bind(&[free, good][1..]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse, "{kind}");
        });
    }
}

#[test]
fn names_are_resolved() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let stream = TcpStream::connect(("localhost", port)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap().port(), port, "{kind}");
            let found = tapio::net::lookup_host(format!("localhost:{port}")).await;
            let found: Vec<_> = found.unwrap().collect();
            assert!(found.contains(&listener.local_addr().unwrap()), "{kind}");
        });
    }
}

#[test]
fn a_half_closed_stream_goes_on_in_the_other_direction() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (mut near, mut far) = pair().await;
            near.write_all(b"question").await.unwrap();
            near.shutdown().await.unwrap();

            let mut said = Vec::new();
            far.read_to_end(&mut said).await.unwrap();
            assert_eq!(said, b"question", "{kind}");
            // Longer than any socket buffer, so that the answer waits too.
            let answer = vec![7; 8 << 20];
            let write = async {
                far.write_all(&answer).await.unwrap();
                drop(far);
            };
            let mut heard = Vec::new();
            futures::join!(write, near.read_to_end(&mut heard))
                .1
                .unwrap();
            assert!(heard == answer, "{kind}: {} bytes", heard.len());
            let error = near.write_all(b"more").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{kind}");
            near.shutdown().await.unwrap();
        });
    }
}

#[test]
fn zero_linger_resets() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, mut far) = pair().await;
            near.set_zero_linger().unwrap();
            assert_eq!(near.linger().unwrap(), Some(std::time::Duration::ZERO));
            drop(near);
            let error = far.read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{kind}");
        });
    }
}

#[test]
fn peeking_takes_nothing() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (mut near, mut far) = pair().await;
            let mut buf = [0; 8];
            // Begun before there is anything.
            let peek = far.peek(&mut buf);
            let write = near.write_all(b"hello");
            let (peeked, written) = futures::join!(peek, write);
            written.unwrap();
            assert_eq!((peeked.unwrap(), &buf[..5]), (5, &b"hello"[..]), "{kind}");
            for _ in 0..2 {
                let mut storage = [0; 3];
                let mut room = tapio::io::ReadBuf::new(&mut storage);
                let poll = std::future::poll_fn(|cx| far.poll_peek(cx, &mut room)).await;
                assert_eq!((poll.unwrap(), room.filled()), (3, &b"hel"[..]), "{kind}");
            }
            assert_eq!(far.read(&mut buf).await.unwrap(), 5, "{kind}");
        });
    }
}

#[test]
fn streams_go_to_the_standard_library_and_back() {
    for (kind, runtime) in runtimes() {
        let (mut near, far) = runtime.block_on(async {
            let (near, mut far) = pair().await;
            // Make the driver watch it, so that there is a watch to end.
            assert!(far.read(&mut [0; 8]).now_or_never().is_none());
            (near.into_std().unwrap(), far.into_std().unwrap())
        });
        near.set_nonblocking(false).unwrap();
        near.write_all(b"across").unwrap();
        runtime.block_on(async {
            let mut far = TcpStream::from_std(far).unwrap();
            let mut buf = [0; 6];
            far.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"across", "{kind}");
            far.write_all(b"back").await.unwrap();
        });
        let mut buf = [0; 4];
        near.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"back", "{kind}");
    }
}

#[test]
fn try_methods_never_wait_and_readable_waits_after_them() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = pair().await;
            let mut buf = [0; 16];
            let error = far.try_read(&mut buf).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{kind}");
            assert!(far.readable().now_or_never().is_none(), "{kind}");

            near.writable().await.unwrap();
            let hello = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
            assert_eq!(near.try_write_vectored(&hello).unwrap(), 5, "{kind}");
            let ready = far.ready(Interest::READABLE | Interest::WRITABLE).await;
            assert!(!ready.unwrap().is_empty(), "{kind}");
            far.readable().await.unwrap();
            let mut grown = Vec::new();
            assert_eq!(far.try_read_buf(&mut grown).unwrap(), 5, "{kind}");
            assert_eq!(grown, b"hello", "{kind}");

            drop(near);
            while far.ready(Interest::READABLE).await.unwrap() & Ready::READ_CLOSED == Ready::EMPTY
            {
                tapio::task::yield_now().await;
            }
            assert_eq!(far.try_read(&mut buf).unwrap(), 0, "{kind}");
        });
    }
}

#[test]
fn more_buffers_than_the_kernel_takes_are_written_in_part() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (mut near, mut far) = pair().await;
            let many = vec![IoSlice::new(b"ab"); 1500];
            let sent = near.write_vectored(&many).await.unwrap();
            assert!(sent >= 2, "{kind}");
            drop(near);
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"ab".repeat(sent / 2), "{kind}");
        });
    }
}

#[test]
fn a_callers_own_operation_waits_and_tries_again() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = pair().await;
            let far = Arc::new(far);
            let tries = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let reader = tapio::task::spawn({
                let (far, tries) = (Arc::clone(&far), Arc::clone(&tries));
                async move {
                    let mut buf = [std::mem::MaybeUninit::uninit(); 8];
                    let read = || {
                        tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        socket2::SockRef::from(&*far).recv(&mut buf)
                    };
                    far.async_io(Interest::READABLE, read).await
                }
            });
            while tries.load(std::sync::atomic::Ordering::SeqCst) == 0 {
                tapio::task::yield_now().await;
            }
            near.async_io(Interest::WRITABLE, || near.try_write(b"hello"))
                .await
                .unwrap();
            assert_eq!(reader.await.unwrap().unwrap(), 5, "{kind}");

            // Not ready: the operation is not even tried.
            assert_eq!(
                far.try_read(&mut [0; 8]).unwrap_err().kind(),
                ErrorKind::WouldBlock
            );
            let refused = far.try_io(Interest::READABLE, || -> std::io::Result<()> {
                panic!("{kind}: called though nothing is there")
            });
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::WouldBlock, "{kind}");
        });
    }
}

#[test]
fn options_read_back_as_they_were_set() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            for on in [true, false] {
                socket.set_keepalive(on).unwrap();
                socket.set_reuseaddr(on).unwrap();
                socket.set_reuseport(on).unwrap();
                socket.set_nodelay(on).unwrap();
                let read = (socket.keepalive(), socket.reuseaddr());
                assert_eq!((read.0.unwrap(), read.1.unwrap()), (on, on), "{kind}");
                let read = (socket.reuseport(), socket.nodelay());
                assert_eq!((read.0.unwrap(), read.1.unwrap()), (on, on), "{kind}");
            }
            socket.set_tos_v4(0x10).unwrap();
            assert_eq!(socket.tos_v4().unwrap(), 0x10, "{kind}");
            socket.set_send_buffer_size(30_000).unwrap();
            socket.set_recv_buffer_size(30_000).unwrap();
            assert!(socket.send_buffer_size().unwrap() >= 30_000, "{kind}");
            assert!(socket.recv_buffer_size().unwrap() >= 30_000, "{kind}");
            assert_eq!(socket.device().unwrap(), None, "{kind}");
            assert!(socket.take_error().unwrap().is_none(), "{kind}");

            let (near, _far) = pair().await;
            near.set_nodelay(true).unwrap();
            near.set_quickack(true).unwrap();
            near.set_ttl(42).unwrap();
            assert!(
                near.nodelay().unwrap() && near.quickack().unwrap(),
                "{kind}"
            );
            assert_eq!(near.ttl().unwrap(), 42, "{kind}");
            assert!(near.take_error().unwrap().is_none(), "{kind}");
        });
    }
}

#[test]
fn listening_with_a_backlog_and_polling_for_connections() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(u32::MAX).unwrap();
            let addr = listener.local_addr().unwrap();
            let accept = std::future::poll_fn(|cx| listener.poll_accept(cx));
            let connect = TcpSocket::new_v4().unwrap().connect(addr);
            let (accepted, near) = futures::join!(accept, connect);
            let (far, peer) = accepted.unwrap();
            assert_eq!(near.unwrap().local_addr().unwrap(), peer, "{kind}");
            assert_eq!(far.peer_addr().unwrap(), peer, "{kind}");
        });
    }
}

#[test]
fn a_connection_that_nobody_takes_can_be_given_up() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(0).unwrap();
            let addr = listener.local_addr().unwrap();
            // Fill the queue of connections to be accepted: what comes after
            // that is left without an answer. Over the loopback a connection
            // stands when `connect` was called, or never does.
            let mut queued = Vec::new();
            loop {
                let socket = TcpSocket::new_v4().unwrap();
                let same = socket2::SockRef::from(&socket).try_clone().unwrap();
                let mut connect = Box::pin(socket.connect(addr));
                let polled = futures::poll!(connect.as_mut());
                if polled.is_pending() && same.peer_addr().is_err() {
                    break;
                }
                queued.push(match polled {
                    std::task::Poll::Ready(stream) => stream.unwrap(),
                    std::task::Poll::Pending => connect.await.unwrap(),
                });
                assert!(queued.len() < 64, "{kind}: the queue never fills");
            }
            // The one given up above does no harm to those that came before.
            let (_far, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, queued[0].local_addr().unwrap(), "{kind}");
        });
    }
}
