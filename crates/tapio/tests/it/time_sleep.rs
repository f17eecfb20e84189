//! Sleeps: never early, woken from wherever they are polled.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use tapio::time::{Duration, Instant, Sleep, sleep, sleep_until};

use crate::support::runtimes;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Tells a channel that it was woken.
struct Teller(mpsc::Sender<()>);

impl Wake for Teller {
    fn wake(self: Arc<Self>) {
        // Nobody listens any more where only the first wake counts.
        let _ = self.0.send(());
    }
}

fn teller() -> (Waker, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    (Waker::from(Arc::new(Teller(sender))), receiver)
}

fn poll(sleep: Pin<&mut Sleep>, waker: &Waker) -> Poll<()> {
    sleep.poll(&mut Context::from_waker(waker))
}

/// Polls once in the way of an `await` that does not wait.
async fn poll_once(mut sleep: Pin<&mut Sleep>) -> Poll<()> {
    poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await
}

#[test]
fn no_sleep_is_too_short() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            for span in [Duration::ZERO, MS / 1000, MS, MS * 3 / 2, MS * 17, MS * 70] {
                let start = Instant::now();
                let mut sleep = pin!(sleep(span));
                assert!(sleep.deadline() >= start + span, "{kind}");
                sleep.as_mut().await;
                assert!(
                    start.elapsed() >= span,
                    "{kind}: {:?} of {span:?}",
                    start.elapsed()
                );
                assert!(sleep.is_elapsed());
                // Ready once is ready for good.
                sleep.await;
            }
        });
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}

#[test]
fn a_deadline_in_the_past_is_no_wait_and_still_gives_way() {
    let before = Instant::now() - MS;
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            assert_eq!(
                poll_once(pin!(sleep_until(before))).await,
                Poll::Ready(()),
                "{kind}"
            );
            // The budget lets the other task in.
            let done = Arc::new(AtomicBool::new(false));
            let other = done.clone();
            let endless = tapio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    sleep_until(before).await;
                }
            });
            let ender = tapio::spawn(async move { other.store(true, Ordering::Relaxed) });
            ender.await.expect("it does not panic");
            endless.await.expect("it does not panic");
        });
    }
}

#[test]
fn the_longest_sleep_waits() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut longest = pin!(sleep(Duration::MAX));
            assert!(
                longest.deadline() > Instant::now() + HOUR * 24 * 365 * 29,
                "{kind}"
            );
            assert_eq!(poll_once(longest.as_mut()).await, Poll::Pending);
            sleep(MS * 3).await;
            assert_eq!(poll_once(longest.as_mut()).await, Poll::Pending);
            assert!(!longest.is_elapsed());
        });
    }
}

#[test]
fn tasks_wake_in_the_order_of_their_deadlines() {
    for (kind, runtime) in runtimes() {
        let order = runtime.block_on(async {
            let start = Instant::now() + MS * 5;
            let (sender, mut receiver) = tapio::sync::mpsc::unbounded_channel();
            for number in 0..200_u32 {
                let (deadline, sender) = (start + MS * 2 * (number * 73 % 40), sender.clone());
                tapio::spawn(async move {
                    sleep_until(deadline).await;
                    assert!(Instant::now() >= deadline);
                    sender.send(deadline).expect("somebody listens");
                });
            }
            drop(sender);
            let mut order = vec![];
            while let Some(deadline) = receiver.recv().await {
                order.push(deadline);
            }
            order
        });
        assert_eq!(order.len(), 200, "{kind}");
        // Several workers, each with a wheel, race with one another.
        if kind.workers.is_none() {
            assert!(order.is_sorted(), "{kind}");
        }
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}

#[test]
fn a_dropped_sleep_leaves_nothing_behind() {
    for (kind, runtime) in runtimes() {
        let (waker, woken) = teller();
        {
            let _entered = runtime.enter();
            let mut polled = Box::pin(sleep(HOUR));
            assert!(poll(polled.as_mut(), &waker).is_pending());
            assert_eq!(runtime.metrics().num_timers(), 1, "{kind}");
            let never_polled = sleep(HOUR);
            assert_eq!(runtime.metrics().num_timers(), 1, "{kind}");
            drop((polled, never_polled));
        }
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
        drop(waker);
        // The wheel kept no copy of the waker.
        assert_eq!(woken.recv(), Err(mpsc::RecvError), "{kind}");
    }
}

#[test]
fn a_sleep_wakes_a_foreign_executor() {
    for (kind, runtime) in runtimes() {
        let (sender, receiver) = tapio::sync::oneshot::channel();
        let handle = runtime.handle().clone();
        let foreign = thread::spawn(move || {
            let sleep = {
                let _entered = handle.enter();
                sleep(MS * 5)
            };
            let deadline = sleep.deadline();
            futures::executor::block_on(sleep);
            assert!(Instant::now() >= deadline);
            sender.send(()).expect("somebody drives the runtime");
        });
        // Nothing but the foreign thread's timer is due in here.
        runtime
            .block_on(receiver)
            .unwrap_or_else(|_| panic!("{kind}"));
        foreign.join().expect("it does not panic");
    }
}

#[test]
fn a_sleep_may_move_to_another_thread_and_another_runtime() {
    for (kind, runtime) in runtimes() {
        for (other_kind, other) in runtimes() {
            let (sender, receiver) = tapio::sync::oneshot::channel();
            let handle = runtime.handle().clone();
            let thread = thread::spawn(move || {
                let mut sleep = {
                    let _entered = handle.enter();
                    Box::pin(sleep(MS * 2))
                };
                assert!(poll(sleep.as_mut(), Waker::noop()).is_pending());
                other.block_on(async {
                    tapio::spawn(sleep).await.expect("it does not panic");
                });
                sender.send(()).expect("somebody drives the runtime");
            });
            let moved = runtime.block_on(receiver);
            moved.unwrap_or_else(|_| panic!("from {kind} to {other_kind}"));
            thread.join().expect("it does not panic");
        }
    }
}

#[test]
fn the_latest_waker_is_woken() {
    for (kind, runtime) in runtimes() {
        let ((first, first_woken), (second, second_woken)) = (teller(), teller());
        let mut sleep = {
            let _entered = runtime.enter();
            Box::pin(sleep(MS * 3))
        };
        assert!(poll(sleep.as_mut(), &first).is_pending());
        assert!(poll(sleep.as_mut(), &second).is_pending());
        drop((first, second));
        assert_eq!(
            first_woken.recv(),
            Err(mpsc::RecvError),
            "{kind}: the first was let go"
        );
        runtime.block_on(async move {
            tapio::task::spawn_blocking(move || second_woken.recv())
                .await
                .expect("it does not panic")
                .expect("the second is woken");
        });
        assert!(sleep.is_elapsed(), "{kind}");
    }
}

#[test]
fn a_reset_moves_the_deadline_and_keeps_who_waits() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let mut sleep = pin!(sleep(HOUR));
            let mut polls = 0;
            // Reset after the poll: nobody polls again before it is due.
            let deadline = Instant::now() + MS * 4;
            poll_fn(|cx| {
                polls += 1;
                let done = sleep.as_mut().poll(cx);
                if polls == 1 {
                    assert!(done.is_pending());
                    sleep.as_mut().reset(deadline);
                }
                done
            })
            .await;
            assert!(Instant::now() >= deadline, "{kind}");
            assert_eq!(polls, 2, "{kind}");
            assert!(sleep.is_elapsed());
            assert_eq!(sleep.deadline(), deadline);

            // After it has ended, with nobody to wake.
            let deadline = Instant::now() + MS * 4;
            sleep.as_mut().reset(deadline);
            assert!(!sleep.is_elapsed(), "{kind}");
            sleep.as_mut().await;
            assert!(Instant::now() >= deadline, "{kind}");

            // Later.
            sleep.as_mut().reset(Instant::now() + MS);
            assert!(poll_once(sleep.as_mut()).await.is_pending());
            let deadline = Instant::now() + MS * 9;
            sleep.as_mut().reset(deadline);
            sleep.as_mut().await;
            assert!(Instant::now() >= deadline, "{kind}");
        });
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}

#[test]
fn a_reset_to_the_past_wakes_at_once() {
    let past = Instant::now() - MS;
    for (kind, runtime) in runtimes() {
        let (waker, woken) = teller();
        let _entered = runtime.enter();
        let mut sleep = pin!(sleep(HOUR));
        assert!(poll(sleep.as_mut(), &waker).is_pending());
        sleep.as_mut().reset(past);
        assert_eq!(woken.try_recv(), Ok(()), "{kind}: woken within the reset");
        assert!(sleep.is_elapsed(), "{kind}");
        assert!(poll(sleep.as_mut(), &waker).is_ready(), "{kind}");
    }
}

#[test]
fn is_elapsed_needs_no_poll_once_started() {
    for (kind, runtime) in runtimes() {
        runtime.block_on(async {
            let never_started = sleep(MS);
            let mut started = pin!(sleep(HOUR));
            started.as_mut().reset(Instant::now() + MS);
            sleep(MS * 2).await;
            // Another worker's wheel may be a moment behind.
            while !started.is_elapsed() {
                sleep(MS).await;
            }
            assert!(!never_started.is_elapsed(), "{kind}");
        });
    }
}

#[test]
fn sleeps_of_many_threads_are_all_woken() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 200;
    for (kind, runtime) in runtimes() {
        let woken = AtomicUsize::new(0);
        let (done, all_done) = tapio::sync::oneshot::channel();
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (handle, woken) = (runtime.handle().clone(), &woken);
                scope.spawn(move || {
                    let _entered = handle.enter();
                    for round in 0..ROUNDS {
                        // Some are cancelled while others wait.
                        let mut cancelled = Box::pin(sleep(MS * (round as u32 % 3)));
                        let _ = poll(cancelled.as_mut(), Waker::noop());
                        if round % 20 == number {
                            futures::executor::block_on(sleep(MS));
                        }
                        drop(cancelled);
                    }
                    woken.fetch_add(1, Ordering::Relaxed);
                });
            }
            let woken = &woken;
            scope.spawn(move || {
                while woken.load(Ordering::Relaxed) < THREADS {
                    thread::yield_now();
                }
                done.send(()).expect("somebody drives the runtime");
            });
            runtime
                .block_on(all_done)
                .unwrap_or_else(|_| panic!("{kind}"));
        });
        assert_eq!(runtime.metrics().num_timers(), 0, "{kind}");
    }
}
