//! Descriptors that the runtime has no type for.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use tapio::io::unix::AsyncFd;
use tapio::io::{Interest, Ready};

use crate::support::runtimes;

fn pair() -> (AsyncFd<UnixStream>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    (watch(near), far)
}

#[expect(unsafe_code, reason = "registering asks for a promise")]
fn watch<T: AsRawFd>(inner: T) -> AsyncFd<T> {
    // SAFETY: the tests register owners of descriptors, and replace none.
    unsafe { AsyncFd::register(inner) }.unwrap()
}

#[test]
fn a_guard_says_what_is_ready_and_forgets_on_demand() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, mut far) = pair();
            assert!(near.readable().now_or_never().is_none(), "{kind}");
            far.write_all(b"hello").unwrap();
            let mut guard = near.readable().await.unwrap();
            assert!(guard.ready().is_readable(), "{kind}");
            let mut buf = [0; 8];
            let read = guard.try_io(|fd| fd.get_ref().read(&mut buf));
            assert_eq!(read.unwrap().unwrap(), 5, "{kind}");
            // Still marked ready: only the descriptor knows better.
            let again = guard.try_io(|fd| fd.get_ref().read(&mut buf));
            assert!(again.is_err(), "{kind}");
            assert!(guard.ready().is_empty(), "{kind}");
            drop(guard);
            assert!(near.readable().now_or_never().is_none(), "{kind}");
            // The other direction was not forgotten.
            assert!(
                near.writable().await.unwrap().ready().is_writable(),
                "{kind}"
            );
        });
    }
}

#[test]
fn a_guard_can_forget_a_part() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, mut far) = pair();
            far.write_all(b"hello").unwrap();
            near.readable().await.unwrap().retain_ready();
            near.writable().await.unwrap().retain_ready();
            let mut guard = near
                .ready(Interest::READABLE | Interest::WRITABLE)
                .await
                .unwrap();
            assert!(
                guard.ready().is_readable() && guard.ready().is_writable(),
                "{kind}"
            );
            guard.clear_ready_matching(Ready::READABLE);
            assert_eq!(guard.ready(), Ready::WRITABLE, "{kind}");
            drop(guard);
            assert!(near.readable().now_or_never().is_none(), "{kind}");
            assert!(near.writable().now_or_never().is_some(), "{kind}");
            // A new report brings it back.
            far.write_all(b"more").unwrap();
            near.readable().await.unwrap().retain_ready();
        });
    }
}

#[test]
fn operations_of_the_callers_wait() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (mut near, mut far) = pair();
            let mut buf = [0; 8];
            let refused = near.try_io(Interest::READABLE, |mut fd| fd.read(&mut buf));
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::WouldBlock, "{kind}");
            let read = near.async_io_mut(Interest::READABLE, |fd| fd.read(&mut buf));
            let mut read = Box::pin(read);
            assert!(futures::poll!(read.as_mut()).is_pending(), "{kind}");
            far.write_all(b"hello").unwrap();
            assert_eq!(read.await.unwrap(), 5, "{kind}");
            drop(far);
            let mut guard = near.readable_mut().await.unwrap();
            let end = guard.try_io(|fd| fd.get_mut().read(&mut buf));
            assert_eq!(end.unwrap().unwrap(), 0, "{kind}");
        });
    }
}

#[test]
fn what_cannot_be_watched_is_given_back() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let file = tempfile::tempfile().unwrap();
            let number = file.as_raw_fd();
            #[expect(unsafe_code, reason = "registering asks for a promise")]
            // SAFETY: the file owns its descriptor.
            let error = unsafe { AsyncFd::register(file) }.unwrap_err();
            let (file, cause) = error.into_parts();
            assert_eq!(cause.kind(), ErrorKind::PermissionDenied, "{kind}");
            assert_eq!(file.as_raw_fd(), number, "{kind}");

            // Two workers are two drivers, and only the one that watches it
            // already can tell.
            if kind.workers != Some(2) {
                let (near, _far) = pair();
                #[expect(unsafe_code, reason = "registering asks for a promise")]
                // SAFETY: the descriptor is borrowed from one that outlives this.
                let twice = unsafe { AsyncFd::register(near.as_fd()) };
                let (_, cause) = twice.unwrap_err().into_parts();
                assert_eq!(cause.kind(), ErrorKind::AlreadyExists, "{kind}");
            }
        });
    }
}

#[test]
fn into_inner_ends_the_watch() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, mut far) = pair();
            assert!(near.readable().now_or_never().is_none(), "{kind}");
            let mut inner = near.into_inner();
            far.write_all(b"hello").unwrap();
            assert_eq!(inner.read(&mut [0; 8]).unwrap(), 5, "{kind}");
            // The descriptor can be watched anew.
            let near = watch(inner);
            far.write_all(b"again").unwrap();
            near.readable().await.unwrap().retain_ready();
        });
    }
}

/// Tells whether its descriptor was still open when it was dropped.
struct Owner {
    stream: UnixStream,
    dropped: Arc<AtomicBool>,
}

impl AsRawFd for Owner {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let is_open = rustix::io::fcntl_getfd(&self.stream).is_ok();
        self.dropped.store(is_open, Ordering::SeqCst);
    }
}

#[test]
fn dropping_it_drops_what_it_holds() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (stream, mut far) = UnixStream::pair().unwrap();
            stream.set_nonblocking(true).unwrap();
            let dropped = Arc::new(AtomicBool::new(false));
            let near = watch(Owner {
                stream,
                dropped: Arc::clone(&dropped),
            });
            assert!(near.readable().now_or_never().is_none(), "{kind}");
            drop(near);
            assert!(dropped.load(Ordering::SeqCst), "{kind}");
            assert_eq!(far.read(&mut [0; 8]).unwrap(), 0, "{kind}");
        });
    }
}

#[test]
fn many_wait_on_one_descriptor() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let (near, mut far) = pair();
            let waits: Vec<_> = (0..40)
                .map(|_| async {
                    let guard = near.readable().await.unwrap();
                    guard.ready().is_readable()
                })
                .collect();
            let mut all = Box::pin(futures::future::join_all(waits));
            assert!(futures::poll!(all.as_mut()).is_pending(), "{kind}");
            far.write_all(b"x").unwrap();
            assert_eq!(all.await, [true; 40], "{kind}");
        });
    }
}

#[test]
fn an_eventfd_counts() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let flags = rustix::event::EventfdFlags::NONBLOCK;
            let event = watch(rustix::event::eventfd(0, flags).unwrap());
            let mut buf = [0; 8];
            let mut read = Box::pin(
                event.async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut buf)?)),
            );
            assert!(futures::poll!(read.as_mut()).is_pending(), "{kind}");
            rustix::io::write(&event, &7_u64.to_ne_bytes()).unwrap();
            assert_eq!(read.await.unwrap(), 8, "{kind}");
            assert_eq!(u64::from_ne_bytes(buf), 7, "{kind}");
        });
    }
}
