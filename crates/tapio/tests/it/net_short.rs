//! A call that did less than it was asked need not have come to an end of what
//! there is; and what the kernel says of a socket that nobody watches yet.

use std::future::{Future, poll_fn};
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpStream as StdTcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::time::Duration;

use futures::FutureExt;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tapio::io::{AsyncReadExt, AsyncWrite, Interest};
use tapio::net::{TcpListener, TcpStream, UnixStream};
use tapio::time::timeout;

use crate::support::runtimes;

/// A lost report hangs for ever: far longer than anything here takes.
const HANGS: Duration = Duration::from_secs(20);

async fn in_time<F: Future>(what: F) -> F::Output {
    timeout(HANGS, what).await.expect("no report was lost")
}

/// An accepted stream, and its peer.
async fn accepted() -> (TcpStream, StdTcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let far = StdTcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().await.unwrap().0, far)
}

/// Has the driver watch `near`, and report both directions of it.
async fn be_watched(near: &mut (impl AsyncReadExt + Unpin), far: &mut impl Write) {
    let mut byte = [0; 1];
    assert!(near.read(&mut byte).now_or_never().is_none());
    far.write_all(b"x").unwrap();
    in_time(near.read_exact(&mut byte)).await.unwrap();
}

#[test]
fn more_slices_than_one_call_takes_are_all_written() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (mut near, mut far) = accepted().await;
            be_watched(&mut near, &mut far).await;
            // Some to begin with that hold nothing, more than one call takes.
            let mut slices = vec![IoSlice::new(b""); 2_000];
            slices.extend(std::iter::repeat_n(IoSlice::new(b"ab"), 5_000));
            let (mut left, mut written) = (&mut slices[..], 0);
            while written < 10_000 {
                let write = poll_fn(|cx| Pin::new(&mut near).poll_write_vectored(cx, left));
                let count = in_time(write).await.unwrap();
                assert!(count > 0, "{kind}: it got no further than {written}");
                written += count;
                IoSlice::advance_slices(&mut left, count);
            }
            drop(near);
            let mut all = String::new();
            std::io::Read::read_to_string(&mut far, &mut all).unwrap();
            assert_eq!(all, "ab".repeat(5_000), "{kind}");
        });
    }
}

#[test]
fn a_unix_read_that_stops_at_passed_descriptors_leaves_the_rest() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, mut far) = StdUnixStream::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            let mut near = UnixStream::from_std(near).unwrap();
            be_watched(&mut near, &mut far).await;
            let passed = [far.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&passed)));
            let first = [IoSlice::new(b"first")];
            rustix::net::sendmsg(&far, &first, &mut control, SendFlags::empty()).unwrap();
            far.write_all(b"second").unwrap();
            let mut buf = [0; 64];
            let count = in_time(near.read(&mut buf)).await.unwrap();
            assert_eq!(&buf[..count], b"first", "{kind}: else this tests nothing");
            let count = in_time(near.read(&mut buf)).await.unwrap();
            assert_eq!(&buf[..count], b"second", "{kind}");
        });
    }
}

#[test]
fn a_read_that_stops_at_urgent_data_leaves_the_rest() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (mut near, mut far) = accepted().await;
            be_watched(&mut near, &mut far).await;
            far.write_all(b"first").unwrap();
            rustix::net::send(&far, b"!", SendFlags::OOB).unwrap();
            far.write_all(b"second").unwrap();
            in_time(near.ready(Interest::PRIORITY)).await.unwrap();
            let mut buf = [0; 64];
            let count = in_time(near.read(&mut buf)).await.unwrap();
            assert_eq!(&buf[..count], b"first", "{kind}: else this tests nothing");
            let count = in_time(near.read(&mut buf)).await.unwrap();
            assert_eq!(&buf[..count], b"second", "{kind}");
        });
    }
}

#[test]
fn an_accepted_stream_that_was_reset_says_that_it_is_closed() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, far) = accepted().await;
            socket2::SockRef::from(&far)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(far);
            let ready = in_time(near.ready(Interest::READABLE)).await.unwrap();
            assert!(ready.is_read_closed(), "{kind}: {ready:?}");
        });
    }
}

#[test]
fn a_new_stream_is_ready_for_what_the_kernel_says() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, mut far) = accepted().await;
            assert!(near.readable().now_or_never().is_none(), "{kind}: no data");
            assert!(near.writable().now_or_never().is_some(), "{kind}: room");
            far.write_all(b"x").unwrap();
            in_time(near.readable()).await.unwrap();
            let (near, mut far) = accepted().await;
            far.write_all(b"x").unwrap();
            assert!(near.readable().now_or_never().is_some(), "{kind}: data");
        });
    }
}
