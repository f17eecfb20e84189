//! Unix sockets: addresses, credentials, datagrams, pipes.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as StdSocketAddr;
use std::sync::Arc;

use futures::FutureExt;
use rustix::net::SocketAddrUnix;
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::unix::{SocketAddr, pipe};
use tapio::net::{UnixDatagram, UnixListener, UnixSocket, UnixStream};

use crate::support::runtimes;

#[test]
fn a_listener_has_a_path_or_an_abstract_name() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (kind, runtime)) in runtimes().enumerate() {
        runtime.block_on(async {
            let path = dir.path().join(format!("{number}.sock"));
            let listener = UnixListener::bind(&path).unwrap();
            assert_eq!(
                listener.local_addr().unwrap().as_pathname(),
                Some(&*path),
                "{kind}"
            );
            let again = UnixListener::bind(&path).unwrap_err();
            assert_eq!(again.kind(), ErrorKind::AddrInUse, "{kind}");
            let (mut near, far) =
                futures::join!(UnixStream::connect(&path), listener.accept()).map_results();
            far_says_hello(far).await;
            let mut said = String::new();
            near.read_to_string(&mut said).await.unwrap();
            assert_eq!(said, "hello", "{kind}");

            let name = format!("tapio-test-{}-{number}", std::process::id());
            let std = StdSocketAddr::from_abstract_name(&name).unwrap();
            let listener = UnixListener::bind_addr(&SocketAddr::from(std)).unwrap();
            let addr = listener.local_addr().unwrap();
            assert_eq!(addr.as_abstract_name(), Some(name.as_bytes()), "{kind}");
            let connect = UnixStream::connect(format!("\0{name}"));
            let (near, far) = futures::join!(connect, listener.accept()).map_results();
            assert_eq!(
                near.peer_addr().unwrap().as_abstract_name(),
                Some(name.as_bytes())
            );
            assert!(far.peer_addr().unwrap().is_unnamed(), "{kind}");
        });
    }
}

async fn far_says_hello(mut far: UnixStream) {
    far.write_all(b"hello").await.unwrap();
}

/// The streams of a connection that both ends made.
trait MapResults {
    fn map_results(self) -> (UnixStream, UnixStream);
}

impl MapResults
    for (
        std::io::Result<UnixStream>,
        std::io::Result<(UnixStream, SocketAddr)>,
    )
{
    fn map_results(self) -> (UnixStream, UnixStream) {
        (self.0.unwrap(), self.1.unwrap().0)
    }
}

#[test]
fn peers_tell_their_address_whatever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let stem = dir.path().to_str().unwrap();
    for (number, (kind, runtime)) in runtimes().enumerate() {
        runtime.block_on(async {
            let path = dir.path().join(format!("{number}.sock"));
            let listener = UnixListener::bind(&path).unwrap();
            let _near = UnixStream::connect(&path).await.unwrap();
            let (_far, peer) = listener.accept().await.unwrap();
            assert!(peer.is_unnamed(), "{kind}");

            let socket = UnixSocket::new_stream().unwrap();
            let own = dir.path().join(format!("{number}.own"));
            socket.bind(&own).unwrap();
            let _near = socket.connect(&path).await.unwrap();
            let (_far, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.as_pathname(), Some(&*own), "{kind}");

            // The longest that the kernel takes, which leaves no room for the
            // zero byte at the end.
            let fill = "x".repeat(108 - stem.len() - 3);
            let longest = SocketAddrUnix::new(format!("{stem}/{number}-{fill}")).unwrap();
            let socket = UnixSocket::new_stream().unwrap();
            rustix::net::bind(&socket, &longest).unwrap();
            let _near = socket.connect(&path).await.unwrap();
            listener.accept().await.unwrap();
        });
    }
}

#[test]
fn connecting_to_nobody_fails() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (kind, runtime)) in runtimes().enumerate() {
        runtime.block_on(async {
            let path = dir.path().join(format!("{number}.sock"));
            let error = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{kind}");
            drop(UnixListener::bind(&path).unwrap());
            let error = UnixStream::connect(&path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{kind}");
        });
    }
}

#[test]
fn the_peer_is_known() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, _far) = UnixStream::pair().unwrap();
            let peer = near.peer_cred().unwrap();
            assert_eq!(peer.pid(), Some(std::process::id() as i32), "{kind}");
            assert_eq!(peer.uid(), rustix::process::geteuid().as_raw(), "{kind}");
            assert_eq!(peer.gid(), rustix::process::getegid().as_raw(), "{kind}");
            assert!(near.take_error().unwrap().is_none(), "{kind}");
        });
    }
}

#[test]
fn a_socket_becomes_what_it_was_made_for() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (kind, runtime)) in runtimes().enumerate() {
        runtime.block_on(async {
            let path = dir.path().join(format!("{number}.sock"));
            let socket = UnixSocket::new_stream().unwrap();
            socket.bind(&path).unwrap();
            let listener = socket.listen(8).unwrap();
            let connect = UnixSocket::new_stream().unwrap().connect(&path);
            let (_near, _far) = futures::join!(connect, listener.accept()).map_results();

            let socket = UnixSocket::new_datagram().unwrap();
            socket
                .bind(dir.path().join(format!("{number}.dgram")))
                .unwrap();
            socket.datagram().unwrap();
            assert!(
                UnixSocket::new_datagram().unwrap().listen(1).is_err(),
                "{kind}"
            );
            assert!(
                UnixSocket::new_stream().unwrap().datagram().is_err(),
                "{kind}"
            );
            let connect = UnixSocket::new_datagram().unwrap().connect(&path);
            assert!(connect.await.is_err(), "{kind}");
        });
    }
}

#[test]
fn datagrams_tell_their_sender() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (kind, runtime)) in runtimes().enumerate() {
        runtime.block_on(async {
            let near_path = dir.path().join(format!("{number}.near"));
            let far_path = dir.path().join(format!("{number}.far"));
            let near = UnixDatagram::bind(&near_path).unwrap();
            let far = UnixDatagram::bind(&far_path).unwrap();
            let mut buf = [0; 16];
            let (sent, received) =
                futures::join!(near.send_to(b"hello", &far_path), far.recv_from(&mut buf));
            assert_eq!(sent.unwrap(), 5, "{kind}");
            let (len, sender) = received.unwrap();
            assert_eq!(&buf[..len], b"hello", "{kind}");
            assert_eq!(sender.as_pathname(), Some(&*near_path), "{kind}");

            let nobody = UnixDatagram::unbound().unwrap();
            nobody.connect(&far_path).unwrap();
            assert_eq!(
                nobody.peer_addr().unwrap().as_pathname(),
                Some(&*far_path),
                "{kind}"
            );
            nobody.send(b"psst").await.unwrap();
            let mut whole = Vec::new();
            let (len, sender) = far.recv_buf_from(&mut whole).await.unwrap();
            assert_eq!((len, &whole[..]), (4, &b"psst"[..]), "{kind}");
            assert!(sender.is_unnamed(), "{kind}");

            let name = format!("\0tapio-dgram-{}-{number}", std::process::id());
            let hidden = UnixDatagram::bind(&name).unwrap();
            near.send_to(b"boo", &name).await.unwrap();
            assert_eq!(hidden.recv(&mut buf).await.unwrap(), 3, "{kind}");
        });
    }
}

#[test]
fn a_sender_waits_for_a_receiver_whose_queue_is_full() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = UnixDatagram::pair().unwrap();
            let near = Arc::new(near);
            let mut queued = 0;
            while near.try_send(&[0; 100]).is_ok() {
                queued += 1;
            }
            assert!(near.send(b"last").now_or_never().is_none(), "{kind}");
            let sender = tapio::task::spawn({
                let near = Arc::clone(&near);
                async move { near.send(b"last").await }
            });
            let mut buf = [0; 128];
            for _ in 0..queued {
                assert_eq!(far.recv(&mut buf).await.unwrap(), 100, "{kind}");
            }
            assert_eq!(far.recv(&mut buf).await.unwrap(), 4, "{kind}");
            assert_eq!(sender.await.unwrap().unwrap(), 4, "{kind}");
            near.shutdown(std::net::Shutdown::Both).unwrap();
        });
    }
}

#[test]
fn a_pipe_ends_when_its_writer_is_gone() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (mut sender, mut receiver) = pipe::pipe().unwrap();
            assert!(
                receiver.read(&mut [0; 8]).now_or_never().is_none(),
                "{kind}"
            );
            let sent = vec![5; 1 << 20];
            let write = async {
                sender.write_all(&sent).await.unwrap();
                drop(sender);
            };
            let mut heard = Vec::new();
            futures::join!(write, receiver.read_to_end(&mut heard))
                .1
                .unwrap();
            assert!(heard == sent, "{kind}: {} bytes", heard.len());

            let (sender, receiver) = pipe::pipe().unwrap();
            let receiver = receiver.into_nonblocking_fd().unwrap();
            let receiver = pipe::Receiver::from_owned_fd(receiver).unwrap();
            drop(receiver);
            sender.writable().await.unwrap();
            let error = sender.try_write(b"x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{kind}");
            let file = tempfile::tempfile().unwrap();
            let error = pipe::Sender::from_file(file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{kind}");
        });
    }
}

#[test]
fn a_fifo_waits_for_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (kind, runtime)) in runtimes().enumerate() {
        let path = dir.path().join(format!("{number}.fifo"));
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        runtime.block_on(async {
            let mut receiver = pipe::OpenOptions::new().open_receiver(&path).unwrap();
            // Nobody has written yet: that is not the end.
            assert!(
                receiver.read(&mut [0; 8]).now_or_never().is_none(),
                "{kind}"
            );
            let mut sender = pipe::OpenOptions::new().open_sender(&path).unwrap();
            sender.write_all(b"hello").await.unwrap();
            drop(sender);
            let mut said = String::new();
            receiver.read_to_string(&mut said).await.unwrap();
            assert_eq!(said, "hello", "{kind}");
        });
    }
}
