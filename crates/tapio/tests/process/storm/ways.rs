//! Ways to block a worker. None asks anybody: that is what they are for.

use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::random::Random;

/// Blocks in one of the ways, for at most `ms_max`.
pub(super) async fn block(random: &mut Random, ms_max: u64) {
    let time = Duration::from_millis(random.below(ms_max));
    match random.below(9) {
        0 => spin(time),
        1 => thread::sleep(time),
        2 => read_a_socket(time),
        3 => want_a_lock(time),
        4 => wait_for_a_condition(time),
        5 => {
            let aborted = tapio::spawn(async move {
                let _held = SpinsWhenDropped(time);
                pending::<()>().await;
            });
            tapio::task::yield_now().await;
            aborted.abort();
            let ended = aborted.await;
            assert!(ended.is_err_and(|error| error.is_cancelled()));
        }
        6 => wake_a_waker_that_sleeps(time).await,
        7 => tapio::task::block_in_place(|| thread::sleep(time)),
        _ => {
            // The result's destructor runs here, not on the pool.
            let call = tapio::task::spawn_blocking(move || SpinsWhenDropped(time / 2));
            drop(call.await.expect("it does not panic"));
        }
    }
}

fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn read_a_socket(time: Duration) {
    let (mut near, mut far) = UnixStream::pair().expect("two descriptors");
    let writer = thread::spawn(move || {
        thread::sleep(time);
        far.write_all(b"x").expect("the other end reads");
    });
    near.read_exact(&mut [0]).expect("the other end writes");
    writer.join().expect("it does not panic");
}

fn want_a_lock(time: Duration) {
    let lock = Arc::new(Mutex::new(()));
    let (held, has_it) = mpsc::channel();
    let holder = thread::spawn({
        let lock = Arc::clone(&lock);
        move || {
            let _guard = lock.lock().expect("nobody panics");
            held.send(()).expect("somebody waits");
            thread::sleep(time);
        }
    });
    has_it.recv().expect("the holder holds it");
    drop(lock.lock().expect("nobody panics"));
    holder.join().expect("it does not panic");
}

fn wait_for_a_condition(time: Duration) {
    let (never, changed) = (Mutex::new(()), Condvar::new());
    let guard = never.lock().expect("nobody panics");
    drop(changed.wait_timeout(guard, time).expect("nobody panics"));
}

struct SpinsWhenDropped(Duration);

impl Drop for SpinsWhenDropped {
    fn drop(&mut self) {
        spin(self.0);
    }
}

struct Sleepy(Duration, Waker);

impl Wake for Sleepy {
    fn wake(self: Arc<Self>) {
        thread::sleep(self.0);
        self.1.wake_by_ref();
    }
}

async fn wake_a_waker_that_sleeps(time: Duration) {
    let mut sleep = pin!(tapio::time::sleep(Duration::from_millis(2)));
    poll_fn(|cx| {
        if sleep.as_ref().is_elapsed() {
            return Poll::Ready(());
        }
        let waker = Waker::from(Arc::new(Sleepy(time, cx.waker().clone())));
        sleep.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await;
}
