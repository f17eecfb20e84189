//! Every kind of operation, in flight at once.

use std::future::{Future, poll_fn};
use std::io::Write;
use std::net::{SocketAddr, TcpStream as Peer};
use std::os::unix::net::UnixStream as UnixPeer;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use tapio::sync::Notify;
use tapio::task::{JoinHandle, spawn_blocking};
use tapio::time::Sleep;

use crate::rig::LOCAL;

const LONG: Duration = Duration::from_secs(3_600);

type Operation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A listener that lets nobody in: its queue is full and the kernel drops
/// whoever knocks, so that connecting to it stays pending.
pub(crate) struct Closed {
    pub(crate) address: SocketAddr,
    _listener: Socket,
    _queue: Vec<Peer>,
}

impl Closed {
    pub(crate) fn new() -> Closed {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from(LOCAL);
        listener.bind(&any.into()).expect("a port");
        listener.listen(0).expect("a bound socket");
        let address = listener.local_addr().expect("bound").as_socket();
        let address = address.expect("an address of IPv4");
        let knock = || Peer::connect_timeout(&address, Duration::from_millis(50)).ok();
        Closed {
            address,
            _queue: std::iter::from_fn(knock).collect(),
            _listener: listener,
        }
    }
}

/// What outlives the runtime that made it.
pub(crate) struct Survivors {
    pub(crate) stream: TcpStream,
    pub(crate) peer: Peer,
    pub(crate) tasks: Vec<JoinHandle<()>>,
    pub(crate) timer: Pin<Box<Sleep>>,
    /// Ends of connections whose other ends were in tasks.
    pub(crate) others: Vec<Peer>,
}

/// Begins every kind of operation, and returns while all are in flight.
pub(crate) async fn begin(closed: SocketAddr) -> Survivors {
    let listener = TcpListener::bind(LOCAL).await.expect("a port");
    let (stream, peer) = pair(&listener).await;
    let mut others = Vec::new();
    let mut operations = transfers(&listener, &mut others).await;
    let (cut, killed) = pair(&listener).await;
    operations.push(read_some(cut));
    operations.extend(sockets(listener, closed).await);
    operations.extend(timers());
    operations.push(blocking_calls().await);
    let tasks = all_in_flight(operations).await;
    // Reset in the middle of its read.
    let linger = SockRef::from(&killed).set_linger(Some(Duration::ZERO));
    linger.expect("an option of a socket");
    drop(killed);
    let mut timer = Box::pin(tapio::time::sleep(LONG));
    assert!(futures::poll!(timer.as_mut()).is_pending());
    Survivors {
        stream,
        peer,
        tasks,
        timer,
        others,
    }
}

async fn pair(listener: &TcpListener) -> (TcpStream, Peer) {
    let address = listener.local_addr().expect("bound");
    let peer = Peer::connect(address).expect("its queue has room");
    let (stream, _) = listener.accept().await.expect("a connection");
    (stream, peer)
}

fn read_some(mut stream: TcpStream) -> Operation {
    Box::pin(async move {
        let _ = stream.read(&mut [0; 16]).await;
        std::future::pending().await
    })
}

/// Connections in the middle of a transfer.
async fn transfers(listener: &TcpListener, others: &mut Vec<Peer>) -> Vec<Operation> {
    // Nobody reads what this one writes.
    let (mut writer, unread) = pair(listener).await;
    // This one has some of what it wants.
    let (mut reader, mut sender) = pair(listener).await;
    sender.write_all(b"some").expect("a connection");
    // Both halves of this one are busy, on two tasks.
    let (split, silent) = pair(listener).await;
    let (mut read, mut write) = split.into_split();
    others.extend([unread, sender, silent]);
    vec![
        Box::pin(async move {
            let endless = vec![1; 1 << 16];
            while writer.write_all(&endless).await.is_ok() {}
        }),
        Box::pin(async move {
            let mut all = [0; 64];
            let _ = reader.read_exact(&mut all).await;
        }),
        Box::pin(async move {
            let _ = read.read(&mut [0; 16]).await;
        }),
        Box::pin(async move {
            let endless = vec![2; 1 << 16];
            while write.write_all(&endless).await.is_ok() {}
        }),
    ]
}

/// Sockets that wait for somebody.
async fn sockets(listener: TcpListener, closed: SocketAddr) -> Vec<Operation> {
    let udp = UdpSocket::bind(LOCAL).await.expect("a port");
    let (mut near, far) = UnixStream::pair().expect("a pair");
    let (foreign, silent) = UnixPeer::pair().expect("a pair");
    foreign.set_nonblocking(true).expect("a mode of a socket");
    let foreign = UnixStream::from_std(foreign).expect("a socket");
    vec![
        Box::pin(async move {
            let _ = listener.accept().await;
        }),
        Box::pin(async move {
            let _ = TcpStream::connect(closed).await;
        }),
        Box::pin(async move {
            let _ = udp.recv_from(&mut [0; 16]).await;
        }),
        Box::pin(async move {
            let _far = far;
            let _ = near.read(&mut [0; 16]).await;
        }),
        Box::pin(async move {
            let _silent = silent;
            let _ = foreign.readable().await;
        }),
    ]
}

fn timers() -> Vec<Operation> {
    vec![
        Box::pin(tapio::time::sleep(LONG)),
        Box::pin(async {
            let mut ticks = tapio::time::interval(LONG);
            loop {
                ticks.tick().await;
            }
        }),
        Box::pin(async {
            let never = std::future::pending::<()>();
            let _ = tapio::time::timeout(LONG, never).await;
        }),
    ]
}

/// One call that runs until this operation is dropped, and some in line.
async fn blocking_calls() -> Operation {
    let (hold, released) = mpsc::channel::<()>();
    let (begin, begun) = tapio::sync::oneshot::channel();
    let running = spawn_blocking(move || {
        begin.send(()).expect("somebody waits for it");
        released.recv().is_err()
    });
    begun.await.expect("it begins");
    let in_line: Vec<_> = (0..5).map(|_| spawn_blocking(|| ())).collect();
    Box::pin(async move {
        let _hold = hold;
        let _ = running.await;
        for call in in_line {
            let _ = call.await;
        }
    })
}

/// Spawns a task for each operation, and waits until each waits.
async fn all_in_flight(operations: Vec<Operation>) -> Vec<JoinHandle<()>> {
    let count = operations.len();
    let waiting = Arc::new((AtomicUsize::new(0), Notify::new()));
    let tasks = operations
        .into_iter()
        .map(|mut operation| {
            let waiting = Arc::clone(&waiting);
            tapio::spawn(async move {
                let first = poll_fn(|cx| Poll::Ready(operation.as_mut().poll(cx))).await;
                assert!(first.is_pending(), "an operation is over before it waits");
                waiting.0.fetch_add(1, Ordering::Relaxed);
                waiting.1.notify_one();
                operation.await;
            })
        })
        .collect();
    while waiting.0.load(Ordering::Relaxed) < count {
        waiting.1.notified().await;
    }
    tasks
}
