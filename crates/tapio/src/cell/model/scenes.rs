//! The models: one for each pair or triple of things that may happen at once.

use std::task::Poll;

use super::{Ending, Joiner, check, check_ending, start, waiting};

/// A wake that comes before, during or after a poll brings another.
#[test]
fn no_wake_is_lost() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        // In the queue once more, so that the poll below may be under way.
        waker.wake_by_ref();
        let runs = start(rig, |rig| rig.run());
        let wakes = start(rig, move |rig| {
            rig.make_ready();
            waker.wake();
        });
        runs.join().unwrap();
        wakes.join().unwrap();
        rig.run();
        assert!(handle.is_finished());
    });
}

/// A wake that finds the task queued already still shows what it is about.
#[test]
fn a_wake_that_queues_nothing_is_seen() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        let copy = waker.clone();
        let first = start(rig, move |rig| {
            waker.wake_by_ref();
            rig.run();
            // Kept until the end: dropping it would show it as well.
            waker
        });
        let second = start(rig, move |rig| {
            rig.make_ready();
            copy.wake_by_ref();
            copy
        });
        let _kept = (first.join().unwrap(), second.join().unwrap());
        rig.run();
        assert!(handle.is_finished());
    });
}

/// Two wakers, one kept and one consumed, queue a task once at a time.
#[test]
fn wakers_agree_on_who_queues() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        let copy = waker.clone();
        let first = start(rig, move |rig| {
            waker.wake_by_ref();
            rig.run();
        });
        let second = start(rig, move |rig| {
            rig.make_ready();
            copy.wake();
        });
        first.join().unwrap();
        second.join().unwrap();
        assert!(rig.queue.lock().len() <= 1);
        rig.run();
        assert!(handle.is_finished());
    });
}

/// The handle is polled, with another waker each time, while the task ends.
#[test]
fn the_handle_hears_of_the_end() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        rig.make_ready();
        waker.wake();
        let mut joiner = Joiner::new(rig, handle);
        let runs = start(rig, |rig| rig.run());
        let mut joined = joiner.poll();
        if joined.is_pending() {
            joined = joiner.poll();
        }
        runs.join().unwrap();
        if joined.is_pending() {
            assert_eq!(joiner.wakes(), 1, "it is told, once");
            joined = joiner.poll();
        }
        assert!(matches!(joined, Poll::Ready(Ok(Ok(_)))));
    });
}

/// The handle, which was polled before, is dropped while the task ends.
#[test]
fn the_handle_goes_while_the_task_ends() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        rig.make_ready();
        let mut joiner = Joiner::new(rig, handle);
        assert!(joiner.poll().is_pending());
        waker.wake();
        let runs = start(rig, |rig| rig.run());
        drop(joiner);
        runs.join().unwrap();
    });
}

/// The handle is dropped at once, while the task is polled first.
#[test]
fn a_fresh_handle_goes() {
    check(|rig| {
        rig.make_ready();
        let (handle, waker) = rig.spawn();
        let runs = start(rig, |rig| rig.run());
        drop(handle);
        runs.join().unwrap();
        drop(waker);
    });
}

/// An abort meets a poll and a wake: one end, and the handle hears of it.
#[test]
fn an_abort_ends_it_once() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        waker.wake_by_ref();
        let mut joiner = Joiner::new(rig, handle);
        assert!(joiner.poll().is_pending());
        let abort = joiner.handle.abort_handle();
        let runs = start(rig, |rig| rig.run());
        let wakes = start(rig, move |rig| {
            rig.make_ready();
            waker.wake();
        });
        abort.abort();
        runs.join().unwrap();
        wakes.join().unwrap();
        rig.run();
        assert_eq!(joiner.wakes(), 1);
        match joiner.poll() {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => assert!(error.is_cancelled()),
            Poll::Pending => panic!("it has ended"),
        }
    });
}

/// Two aborts, one of them by a task's last holder.
#[test]
fn aborts_meet() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        let abort = handle.abort_handle();
        let aborts = start(rig, move |rig| {
            abort.abort();
            rig.run();
        });
        handle.abort();
        drop(handle);
        drop(waker);
        rig.run();
        aborts.join().unwrap();
    });
}

/// A shutdown meets a poll and a wake: nothing is left, whoever drops it.
#[test]
fn a_shutdown_ends_it_once() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        waker.wake_by_ref();
        let runs = start(rig, |rig| rig.run());
        let wakes = start(rig, move |rig| {
            rig.make_ready();
            waker.wake();
        });
        rig.shut_down();
        runs.join().unwrap();
        wakes.join().unwrap();
        // What a runtime does when its workers have stopped.
        let queued = std::mem::take(&mut *rig.queue.lock());
        drop(queued);
        assert!(handle.is_finished());
    });
}

/// A shutdown meets an abort, and the handle's last look.
#[test]
fn a_shutdown_meets_an_abort() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        let abort = handle.abort_handle();
        let mut joiner = Joiner::new(rig, handle);
        let aborts = start(rig, move |rig| {
            abort.abort();
            rig.run();
        });
        let ends = start(rig, |rig| rig.shut_down());
        let joined = joiner.poll();
        aborts.join().unwrap();
        ends.join().unwrap();
        match joined {
            Poll::Ready(joined) => assert!(joined.is_err()),
            Poll::Pending => {
                assert_eq!(joiner.wakes(), 1);
                assert!(matches!(joiner.poll(), Poll::Ready(Err(_))));
            }
        }
        drop(waker);
    });
}

/// The last waker goes while the task ends: the cell is freed once.
#[test]
fn the_last_reference_frees() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        let copy = waker.clone();
        rig.make_ready();
        waker.wake();
        let runs = start(rig, |rig| rig.run());
        let drops = start(rig, move |_| drop(copy));
        drop(handle);
        runs.join().unwrap();
        drops.join().unwrap();
    });
}

/// A task is run and freed before the thread that queued it has returned.
#[test]
fn it_may_be_gone_before_its_wake_returns() {
    check(|rig| {
        let (handle, waker) = waiting(rig);
        drop(handle);
        rig.make_ready();
        let wakes = start(rig, move |_| waker.wake());
        rig.run();
        wakes.join().unwrap();
    });
}

/// The handle goes while the task panics: somebody is told, once.
#[test]
fn a_panic_that_nobody_reads_is_counted_once() {
    check_ending(Ending::Panic, |rig| {
        let (handle, waker) = waiting(rig);
        rig.make_ready();
        waker.wake();
        let runs = start(rig, |rig| rig.run());
        drop(handle);
        runs.join().unwrap();
        assert_eq!(rig.unobserved(), 1);
    });
}

/// A panic is read by the handle's only look, or counted, and never both.
#[test]
fn a_panic_is_read_or_counted() {
    check_ending(Ending::Panic, |rig| {
        let (handle, waker) = waiting(rig);
        rig.make_ready();
        waker.wake();
        let mut joiner = Joiner::new(rig, handle);
        let runs = start(rig, |rig| rig.run());
        let joined = joiner.poll();
        drop(joiner);
        runs.join().unwrap();
        assert_eq!(rig.unobserved(), usize::from(joined.is_pending()));
    });
}

/// A handle that keeps itself until the end is let go of at the end, once,
/// whichever thread comes last.
#[test]
fn an_error_is_shown_once_by_a_detached_task() {
    check_ending(Ending::Error, |rig| {
        let (handle, waker) = waiting(rig);
        rig.make_ready();
        waker.wake();
        let runs = start(rig, |rig| rig.run());
        handle.report_errors();
        runs.join().unwrap();
        rig.run();
        assert_eq!(rig.unobserved(), 1);
    });
}

/// A shutdown ends a task that was detached while it runs.
#[test]
fn a_detached_task_is_shut_down() {
    check_ending(Ending::Error, |rig| {
        let (handle, waker) = waiting(rig);
        rig.make_ready();
        waker.wake();
        let runs = start(rig, |rig| rig.run());
        let ends = start(rig, |rig| rig.shut_down());
        handle.report_errors();
        runs.join().unwrap();
        ends.join().unwrap();
        assert!(rig.unobserved() <= 1);
    });
}
