//! Sockets that are first polled on a thread that is no worker, by an executor
//! that is not ours.

use std::sync::Arc;

use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use tapio::runtime::{Handle, Runtime};
use tapio::sync::Notify;

use crate::support::{Kind, runtimes};

/// Runs `body` on this thread under another executor, with the runtime's
/// context entered. Somebody must drive a `current_thread` runtime meanwhile.
fn elsewhere<R>(kind: Kind, runtime: Runtime, body: impl AsyncFnOnce(Handle) -> R) -> R {
    let handle = runtime.handle().clone();
    let runtime = Arc::new(runtime);
    let done = Arc::new(Notify::new());
    let driver = kind.workers.is_none().then(|| {
        let (runtime, done) = (Arc::clone(&runtime), Arc::clone(&done));
        std::thread::spawn(move || runtime.block_on(done.notified()))
    });
    let output = {
        let _context = handle.enter();
        futures::executor::block_on(body(handle.clone()))
    };
    done.notify_one();
    if let Some(driver) = driver {
        driver.join().unwrap();
    }
    output
}

#[test]
fn streams_are_driven_by_the_runtime() {
    for (kind, runtime) in runtimes() {
        elsewhere(kind, runtime, async |_| {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let (near, far) = futures::join!(TcpStream::connect(addr), listener.accept());
            let (mut near, mut far) = (near.unwrap(), far.unwrap().0);
            let sent = vec![9; 4 << 20];
            let echo = async {
                let (mut read, mut write) = far.split();
                tapio::io::copy(&mut read, &mut write).await.unwrap();
                write.shutdown().await.unwrap();
            };
            let (mut read, mut write) = near.split();
            let mut heard = Vec::new();
            let talk = async {
                let say = async {
                    write.write_all(&sent).await.unwrap();
                    write.shutdown().await.unwrap();
                };
                futures::join!(say, read.read_to_end(&mut heard)).1.unwrap();
            };
            futures::join!(echo, talk);
            assert!(heard == sent, "{kind}: {} bytes", heard.len());
        });
    }
}

#[test]
fn datagrams_wait_for_the_runtimes_word() {
    for (kind, runtime) in runtimes() {
        elsewhere(kind, runtime, async |handle| {
            let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let to = far.local_addr().unwrap();
            // The sender is a task of the runtime, the receiver is not.
            let (ready, go) = futures::channel::oneshot::channel::<()>();
            let sender = handle.spawn(async move {
                go.await.unwrap();
                near.send_to(b"hello", to).await.unwrap();
            });
            let mut ready = Some(ready);
            let mut buf = [0; 8];
            let receive = crate::support::counted(far.recv(&mut buf), || {
                if let Some(ready) = ready.take() {
                    ready.send(()).unwrap();
                }
            });
            assert_eq!(receive.await.unwrap(), 5, "{kind}");
            sender.await.unwrap();
        });
    }
}

#[test]
fn a_socket_moves_from_another_executor_to_a_task_and_back() {
    for (kind, runtime) in runtimes() {
        elsewhere(kind, runtime, async |handle| {
            let (mut near, mut far) = UnixStream::pair().unwrap();
            let mut buf = [0; 4];
            {
                // Watched by a driver from here on.
                let mut read = std::pin::pin!(near.read(&mut buf));
                assert!(futures::poll!(read.as_mut()).is_pending(), "{kind}");
            }
            let task = handle.spawn(async move {
                far.write_all(b"ping").await.unwrap();
                let mut buf = [0; 4];
                far.read_exact(&mut buf).await.unwrap();
                assert_eq!(&buf, b"pong");
                far
            });
            near.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"ping", "{kind}");
            near.write_all(b"pong").await.unwrap();
            let mut far = task.await.unwrap();
            drop(near);
            assert_eq!(far.read(&mut buf).await.unwrap(), 0, "{kind}");
        });
    }
}
