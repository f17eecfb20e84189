//! Blocking streams, read and written on the pool for blocking calls.

use std::future::Future;
use std::io::{self, Read, Write};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::coop;
use crate::io::ReadBuf;
use crate::runtime::Handle;
use crate::task::{JoinHandle, spawn_blocking_at};

/// The most that one call reads or writes.
const MOST: usize = 2 << 20;

/// A blocking stream: here while idle, at the pool while busy.
#[derive(Debug)]
pub(super) struct Offload<T> {
    state: State<T>,
    /// Whether something was written that was not flushed.
    is_dirty: bool,
    /// Where it was made: a poll does not know who asked for it.
    made_at: &'static Location<'static>,
}

#[derive(Debug)]
enum State<T> {
    Idle(Idle<T>),
    Busy(JoinHandle<Done<T>>),
    /// The pool has dropped the call: the runtime is ending.
    Gone,
}

#[derive(Debug)]
struct Idle<T> {
    stream: T,
    /// What was read and not handed out yet, from `start` on; or what is to be
    /// written.
    buf: Vec<u8>,
    start: usize,
}

type Done<T> = (Idle<T>, io::Result<()>);

impl<T: Send + 'static> Offload<T> {
    #[track_caller]
    pub(super) fn new(stream: T) -> Offload<T> {
        let idle = Idle {
            stream,
            buf: Vec::new(),
            start: 0,
        };
        Offload {
            state: State::Idle(idle),
            is_dirty: false,
            made_at: Location::caller(),
        }
    }

    /// Waits for the call that is under way, if one is, and gives its error.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Idle<T>>> {
        if let State::Busy(call) = &mut self.state {
            match ready!(Pin::new(call).poll(cx)) {
                Ok((idle, outcome)) => {
                    self.state = State::Idle(idle);
                    outcome?;
                }
                Err(error) => {
                    self.state = State::Gone;
                    // A call is only ever cancelled by its runtime's end.
                    return Poll::Ready(Err(if error.is_cancelled() {
                        tapio_driver::shut_down_error()
                    } else {
                        error.into()
                    }));
                }
            }
        }
        match &mut self.state {
            State::Idle(idle) => Poll::Ready(Ok(idle)),
            State::Busy(_) | State::Gone => Poll::Ready(Err(gone())),
        }
    }

    /// Has the pool make `call`. To be called when idle.
    fn begin(&mut self, call: impl FnOnce(&mut Idle<T>) -> io::Result<()> + Send + 'static) {
        if let State::Idle(mut idle) = std::mem::replace(&mut self.state, State::Gone) {
            let call = move || {
                let outcome = call(&mut idle);
                (idle, outcome)
            };
            self.state = State::Busy(spawn_blocking_at(call, self.made_at));
        }
    }
}

impl<T: Read + Send + 'static> Offload<T> {
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let was_busy = matches!(self.state, State::Busy(_));
        let idle = ready!(self.poll_idle(cx))?;
        let left = &idle.buf[idle.start..];
        // A call that was under way and has found nothing has found the end.
        if !left.is_empty() || was_busy || room.remaining() == 0 {
            let len = left.len().min(room.remaining());
            room.put_slice(&left[..len]);
            idle.start += len;
            return Poll::Ready(Ok(()));
        }
        let most = room.remaining().min(MOST);
        self.begin(move |idle| idle.read(most));
        // The pool's answer wakes us only once it has been asked for.
        self.poll_read(cx, room)
    }
}

impl<T: Read> Idle<T> {
    fn read(&mut self, most: usize) -> io::Result<()> {
        self.start = 0;
        self.buf.resize(most, 0);
        let outcome = loop {
            match self.stream.read(&mut self.buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        self.buf.truncate(*outcome.as_ref().unwrap_or(&0));
        outcome.map(drop)
    }
}

impl<T: Write + Send + 'static> Offload<T> {
    /// Takes what it can of `buf` once the write before has been made, whose
    /// error, if it met one, is the answer.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let idle = ready!(self.poll_idle(cx))?;
        if Handle::current().is_shut_down() {
            ready!(coop::poll_ending(cx));
            return Poll::Ready(Err(tapio_driver::shut_down_error()));
        }
        let taken = &buf[..buf.len().min(MOST)];
        idle.buf.clear();
        idle.buf.extend_from_slice(taken);
        self.begin(|idle| idle.stream.write_all(&idle.buf));
        self.is_dirty = true;
        Poll::Ready(Ok(taken.len()))
    }

    /// Waits until everything written is out.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_idle(cx))?;
        if std::mem::take(&mut self.is_dirty) {
            self.begin(|idle| idle.stream.flush());
            ready!(self.poll_idle(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

fn gone() -> io::Error {
    io::Error::other("the runtime ended while it was reading or writing this stream")
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{self, Read, Write};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::task::{Context, Waker};

    use super::Offload;
    use crate::io::ReadBuf;

    fn run<R>(body: impl Future<Output = R>) -> R {
        let runtime = crate::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(body)
    }

    /// Blocks until the test sends something.
    struct Slow(Receiver<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let said = self.0.recv().unwrap_or_default();
            buf[..said.len()].copy_from_slice(&said);
            Ok(said.len())
        }
    }

    async fn read(stream: &mut Offload<Slow>, room: usize) -> Vec<u8> {
        let mut storage = vec![0; room];
        let mut buf = ReadBuf::new(&mut storage);
        poll_fn(|cx| stream.poll_read(cx, &mut buf))
            .await
            .expect("no error");
        buf.filled().to_vec()
    }

    #[test]
    fn what_a_dropped_read_has_found_is_kept() {
        let (say, slow) = channel();
        run(async {
            let mut stream = Offload::new(Slow(slow));
            let mut storage = [0; 16];
            let mut cx = Context::from_waker(Waker::noop());
            let begun = stream.poll_read(&mut cx, &mut ReadBuf::new(&mut storage));
            assert!(begun.is_pending());
            say.send(b"hello".to_vec()).expect("somebody reads");
            assert_eq!(read(&mut stream, 3).await, b"hel");
            assert_eq!(read(&mut stream, 16).await, b"lo");
            drop(say);
            assert_eq!(read(&mut stream, 16).await, b"");
        });
    }

    /// Tells the test what it is given, and fails once told to.
    struct Loud(Sender<Vec<u8>>);

    impl Write for Loud {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            if buf == b"fail" {
                return Err(io::Error::other("told to"));
            }
            let one = buf[..1].to_vec();
            self.0.send(one).map_err(io::Error::other)?;
            Ok(1)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.send(b"|".to_vec()).map_err(io::Error::other)
        }
    }

    #[test]
    fn writes_come_out_in_order_and_errors_at_the_next_call() {
        let (loud, heard) = channel();
        run(async {
            let mut stream = Offload::new(Loud(loud));
            for word in [&b"one"[..], b"two"] {
                let taken = poll_fn(|cx| stream.poll_write(cx, word)).await;
                assert_eq!(taken.expect("no error"), 3);
            }
            poll_fn(|cx| stream.poll_flush(cx)).await.expect("no error");
            let all: Vec<u8> = heard.try_iter().flatten().collect();
            assert_eq!(all, b"onetwo|");

            let taken = poll_fn(|cx| stream.poll_write(cx, b"fail")).await;
            assert_eq!(taken.expect("taken before it is tried"), 4);
            let error = poll_fn(|cx| stream.poll_flush(cx)).await.unwrap_err();
            assert_eq!(error.to_string(), "told to");
            // The stream is still there.
            let taken = poll_fn(|cx| stream.poll_write(cx, b"on")).await;
            assert_eq!(taken.expect("no error"), 2);
            poll_fn(|cx| stream.poll_flush(cx)).await.expect("no error");
        });
    }
}
