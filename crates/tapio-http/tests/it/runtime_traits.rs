//! hyper's runtime traits by themselves, and its clients on them.

use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::rt::{Executor, ReadBufCursor, Timer};
use tapio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tapio::net::TcpStream;
use tapio::sync::oneshot;
use tapio_http::rt::{TapioExecutor, TapioIo, TapioTimer};

use crate::support::{Server, on_each_driver};

#[test]
fn the_adapter_there_and_back_is_the_stream_itself() {
    on_each_driver(|driver| {
        driver.runtime().block_on(async {
            let (near, mut far) = duplex(1 << 10);
            let mut near = TapioIo::new(TapioIo::new(near));
            let sent: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
            let expected = sent.clone();
            let writer = tapio::spawn(async move {
                far.write_all(&sent).await.unwrap();
                let mut back = [0; 6];
                far.read_exact(&mut back).await.unwrap();
                assert_eq!(&back, b"thanks");
            });
            // Into a vector that has something already, and spare room that is
            // not initialized.
            let mut received = Vec::with_capacity(200_000);
            received.extend_from_slice(b"before");
            while received.len() < expected.len() + 6 {
                assert_ne!(near.read_buf(&mut received).await.unwrap(), 0);
            }
            assert_eq!(&received[..6], b"before");
            assert!(received[6..] == expected, "the bytes differ");
            assert!(near.is_write_vectored());
            let slices = [IoSlice::new(b"tha"), IoSlice::new(b"nks")];
            assert_eq!(near.write_vectored(&slices).await.unwrap(), 6);
            writer.await.unwrap();
        });
    });
}

#[test]
fn tcp_streams_write_vectored_through_the_adapter() {
    on_each_driver(|driver| {
        let server = Server::start(driver, Router::new());
        server.runtime.block_on(async {
            let stream = TcpStream::connect(server.addr).await.unwrap();
            assert!(hyper::rt::Write::is_write_vectored(&TapioIo::new(stream)));
        });
    });
}

/// A reader of hyper's that gives out what fits of one text.
struct Text(&'static [u8]);

impl hyper::rt::Read for Text {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let (now, later) = self.0.split_at(self.0.len().min(cursor.remaining()));
        cursor.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_reader_of_hypers_is_read_with_tokios_trait() {
    on_each_driver(|driver| {
        driver.runtime().block_on(async {
            let mut reader = TapioIo::new(Text(b"hello, world"));
            let mut hello = [0; 5];
            reader.read_exact(&mut hello).await.unwrap();
            let mut rest = String::new();
            reader.read_to_string(&mut rest).await.unwrap();
            assert_eq!((&hello, rest.as_str()), (b"hello", ", world"));
        });
    });
}

#[test]
fn the_timer_waits_and_can_be_reset() {
    on_each_driver(|driver| {
        driver.runtime().block_on(async {
            let timer = TapioTimer::new();
            let began = timer.now();
            timer.sleep(Duration::from_millis(20)).await;
            assert!(timer.now() - began >= Duration::from_millis(20));

            let far = Duration::from_secs(600);
            let mut sleep = timer.sleep(far);
            timer.reset(&mut sleep, timer.now() + Duration::from_millis(20));
            sleep.await;
            let mut sleep = timer.sleep_until(timer.now());
            timer.reset(&mut sleep, timer.now() + far);
            let mut sleep = pin!(sleep);
            let is_pending =
                std::future::poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await;
            assert!(is_pending);
            assert!(timer.now() - began < far);
        });
    });
}

#[test]
fn the_executor_runs_what_it_is_given() {
    on_each_driver(|driver| {
        driver.runtime().block_on(async {
            let (sender, receiver) = oneshot::channel();
            TapioExecutor::new().execute(async move {
                sender.send(42).unwrap();
            });
            assert_eq!(receiver.await.unwrap(), 42);
        });
    });
}

#[test]
fn hypers_http1_client_runs() {
    on_each_driver(|driver| {
        let server = Server::start(driver, Router::new().route("/", get(|| async { "hello" })));
        server.runtime.block_on(async {
            let stream = TapioIo::new(TcpStream::connect(server.addr).await.unwrap());
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.unwrap();
            let connection = tapio::spawn(connection);
            for _ in 0..3 {
                let request = Request::get("/")
                    .header("host", "test")
                    .body(Empty::<Bytes>::new())
                    .unwrap();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!(
                    answer.into_body().collect().await.unwrap().to_bytes(),
                    "hello"
                );
                sender.ready().await.unwrap();
            }
            drop(sender);
            connection.await.unwrap().unwrap();
        });
    });
}
