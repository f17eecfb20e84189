//! Dropping the futures of sockets, wherever they are: no byte is lost, none
//! is doubled.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures::FutureExt;
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use tapio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tapio::net::{TcpListener, TcpSocket, TcpStream, UnixDatagram};

use crate::support::{Kind, runtimes};

/// What a future came to within `polls` polls; it is dropped after that.
async fn within<F: Future>(polls: u8, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// A connection that can hold little, so that both ends must wait often.
async fn narrow_pair() -> (TcpStream, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(8).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    let connect = socket.connect(listener.local_addr().unwrap());
    let (near, far) = futures::join!(connect, listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// One step of a reader or a writer: what it tries, and for how many polls.
type Step = (u8, u8);

fn byte(position: usize) -> u8 {
    (position % 251) as u8
}

async fn write(mut stream: TcpStream, total: usize, steps: Vec<Step>) {
    let source: Vec<u8> = (0..total).map(byte).collect();
    let mut written = 0;
    let mut steps = steps.into_iter().cycle();
    while written < total {
        let (what, polls) = steps.next().expect("cycled");
        let end = total.min(written + 1 + usize::from(what) * 97);
        let chunk = &source[written..end];
        let outcome = match what % 3 {
            0 => within(polls, stream.write(chunk)).await,
            1 => {
                let bufs = [std::io::IoSlice::new(chunk)];
                within(polls, stream.write_vectored(&bufs)).await
            }
            _ => {
                let _ = within(polls, stream.writable()).await;
                stream.try_write(chunk).map_or(None, |len| Some(Ok(len)))
            }
        };
        match outcome {
            Some(len) => written += len.unwrap(),
            None => stream.writable().await.unwrap(),
        }
    }
}

async fn read(mut stream: TcpStream, steps: Vec<Step>) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut steps = steps.into_iter().cycle();
    loop {
        let (what, polls) = steps.next().expect("cycled");
        let mut buf = vec![0; 1 + usize::from(what) * 53];
        let outcome = match what % 4 {
            0 => within(polls, stream.read(&mut buf)).await,
            1 => {
                let _ = within(polls, stream.peek(&mut buf)).await;
                within(polls, stream.read(&mut buf)).await
            }
            2 => {
                let _ = within(polls, stream.readable()).await;
                stream.try_read(&mut buf).map_or(None, |len| Some(Ok(len)))
            }
            _ => {
                // The stream's descriptor, behind the stream's back.
                let read = || Ok(rustix::io::read(&stream, &mut buf[..])?);
                within(polls, stream.async_io(Interest::READABLE, read)).await
            }
        };
        match outcome {
            Some(Ok(0)) => return heard,
            Some(len) => heard.extend(&buf[..len.unwrap()]),
            None => stream.readable().await.unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_is_lost_wherever_futures_are_dropped(
        total in 1..60_000_usize,
        reads in prop::collection::vec((any::<u8>(), 0..4_u8), 1..40),
        writes in prop::collection::vec((any::<u8>(), 0..4_u8), 1..40),
    ) {
        for kind in Kind::all() {
            let runtime = kind.build();
            let (reads, writes) = (reads.clone(), writes.clone());
            let heard = runtime.block_on(async move {
                let (near, far) = narrow_pair().await;
                let writer = tapio::task::spawn(write(near, total, writes));
                let reader = tapio::task::spawn(read(far, reads));
                writer.await.unwrap();
                reader.await.unwrap()
            });
            assert_eq!(heard.len(), total, "{kind}");
            assert!(heard.iter().enumerate().all(|(at, &got)| got == byte(at)), "{kind}");
        }
    }
}

#[test]
fn no_connection_is_lost_when_accepts_are_dropped() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let clients = tapio::task::spawn(async move {
                let mut clients = Vec::new();
                for _ in 0..50 {
                    clients.push(TcpStream::connect(addr).await.unwrap());
                }
                clients
            });
            let mut accepted = Vec::new();
            let mut polls = 0;
            while accepted.len() < 50 {
                polls = (polls + 1) % 3;
                match within(polls, listener.accept()).await {
                    Some(stream) => accepted.push(stream.unwrap().1),
                    None => tapio::task::yield_now().await,
                }
            }
            let clients = clients.await.unwrap();
            let connected = clients.iter().map(|client| client.local_addr().unwrap());
            assert!(connected.eq(accepted), "{kind}");
        });
    }
}

#[test]
fn no_datagram_is_lost_or_doubled() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = UnixDatagram::pair().unwrap();
            let sender = tapio::task::spawn(async move {
                for number in 0..2000_u16 {
                    let datagram = number.to_le_bytes();
                    let mut polls = (number % 3) as u8;
                    while within(polls, near.send(&datagram)).await.is_none() {
                        near.writable().await.unwrap();
                        polls += 1;
                    }
                }
            });
            for number in 0..2000_u16 {
                let mut buf = [0; 4];
                let mut polls = (number % 4) as u8;
                let len = loop {
                    match within(polls, far.recv(&mut buf)).await {
                        Some(len) => break len.unwrap(),
                        None => polls += 1,
                    }
                    far.readable().await.unwrap();
                };
                assert_eq!(buf[..len], number.to_le_bytes(), "{kind}");
            }
            sender.await.unwrap();
        });
    }
}

#[test]
fn a_waiter_that_leaves_takes_nobodys_wake_up_along() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = UnixDatagram::pair().unwrap();
            for _ in 0..100 {
                let mut first = Box::pin(far.readable());
                let mut second = Box::pin(far.readable());
                assert!(first.as_mut().now_or_never().is_none(), "{kind}");
                assert!(futures::poll!(second.as_mut()).is_pending(), "{kind}");
                near.send(b"x").await.unwrap();
                drop(first);
                second.await.unwrap();
                assert_eq!(far.recv(&mut [0; 4]).await.unwrap(), 1, "{kind}");
                assert!(far.try_recv(&mut [0; 4]).is_err(), "{kind}");
            }
        });
    }
}
