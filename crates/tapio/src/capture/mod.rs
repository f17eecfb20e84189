//! Copying the stack of a thread that does not come back.
//!
//! The guard sends the thread a signal; its handler copies the registers and a
//! slice of the stack into memory that was there before, and that is all that
//! happens on the stuck thread. Which frames that makes, and what they are
//! called, is found out later and elsewhere (`stack`).
//!
//! Who may write and who may read is settled by one word (`exchange`): a
//! handler that comes when nobody waits for it any more does nothing.
//!
//! What the interrupted code sees of the signal: `SA_RESTART` is set, so that
//! the kernel goes on with reads, writes, locks and sleeps by itself. What it
//! never restarts ends with `EINTR`: `poll`, `select`, `epoll_wait`, waits for
//! other signals, and sockets that have a time limit set (`signal(7)`).
//!
//! Reading order: `exchange`, `handler`, `signals`, `registers`, `target`.

mod exchange;
mod handler;
#[cfg(all(test, tapio_model))]
mod model;
mod no_stack;
mod registers;
mod signals;
mod target;

use std::time::{Duration, Instant};

use tapio_driver::PerProcess;
use tapio_driver::lock::Mutex;

pub(crate) use self::handler::install;
pub(crate) use self::no_stack::NoStack;
pub(crate) use self::signals::DEFAULT_SIGNAL;
pub(crate) use self::target::Target;
pub(crate) use crate::stack::RawStack;

use self::exchange::{Exchange, GivenUp};
use self::handler::Copied;
use crate::thread_state::is_blocked;

/// Copies the stack of a thread, which goes on meanwhile. Waits for it as long
/// as `patience`, and as long again if it has begun to copy by then.
pub(crate) fn capture(
    target: &Target,
    signal: i32,
    patience: Duration,
) -> Result<RawStack, NoStack> {
    static ONE_AT_A_TIME: PerProcess<Mutex<()>> = PerProcess::new(|_| Mutex::default());

    let exchange = handler::exchange().ok_or(NoStack::Unsupported)?;
    let _one = ONE_AT_A_TIME.lock();
    if !handler::is_ours(signal) {
        return Err(NoStack::HandlerReplaced(signal));
    }
    if is_blocked(target.tid(), signal) {
        return Err(if target.always_blocks(signal) {
            NoStack::SignalBlocked(signal)
        } else {
            NoStack::SignalBlockedNow(signal)
        });
    }
    if !exchange.request(target.tid(), target.stack()) {
        return Err(NoStack::TimedOut);
    }
    let begin = Instant::now();
    let sent = handler::send(target.tid(), signal);
    // A signal that was not sent may have been on its way since an earlier
    // request, so even then the thread may answer.
    let limit = if sent.is_ok() {
        patience
    } else {
        Duration::ZERO
    };
    if !exchange.wait(begin, limit) {
        match exchange.give_up() {
            GivenUp::InTime => return Err(sent.err().unwrap_or(NoStack::TimedOut)),
            GivenUp::TooLate => {
                if !exchange.wait(begin, patience * 2) {
                    return Err(NoStack::TimedOut);
                }
            }
        }
    }
    exchange.collect(Copied::to_stack)
}

impl Exchange<Copied> {
    /// Waits until the copy is there; says whether it is.
    fn wait(&self, begin: Instant, limit: Duration) -> bool {
        loop {
            let rung = self.rung();
            if self.is_done() {
                return true;
            }
            let Some(left) = limit.checked_sub(begin.elapsed()) else {
                return false;
            };
            handler::sleep(self.bell(), rung, left);
        }
    }
}

#[cfg(all(test, not(tapio_model)))]
mod tests {
    use std::hint::black_box;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::{DEFAULT_SIGNAL, NoStack, Target, capture, install};

    /// Far longer than it takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn threads_are_copied_one_after_the_other_until_they_end() {
        install(DEFAULT_SIGNAL).expect("it may be");
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..4)
            .map(|index| {
                let (sender, receiver) = mpsc::channel();
                let seen = Arc::clone(&stop);
                let thread = std::thread::spawn(move || {
                    sender.send(Target::this_thread()).expect("the test waits");
                    while !seen.load(Ordering::Relaxed) {
                        match index % 2 {
                            0 => drop(black_box(vec![index; 100])),
                            _ => std::thread::sleep(Duration::from_micros(50)),
                        }
                    }
                });
                (thread, receiver.recv().expect("it begins"))
            })
            .collect();
        for round in 0..200 {
            for (_, target) in &threads {
                // Now and then nobody waits for the answer.
                let patience = if round % 3 == 0 {
                    Duration::ZERO
                } else {
                    PATIENCE
                };
                match capture(target, DEFAULT_SIGNAL, patience) {
                    Ok(raw) => {
                        let (low, high) = target.stack();
                        assert!((low..high).contains(&(raw.registers.sp as usize)));
                        let left = (high - raw.registers.sp as usize) / 8;
                        assert_eq!(raw.words.len(), left.min(128 << 7));
                    }
                    Err(why) => assert!(why.may_pass(), "{why}"),
                }
            }
        }
        let (_, last) = &threads[0];
        stop.store(true, Ordering::Relaxed);
        let gone = *last;
        for (thread, _) in threads {
            thread.join().expect("nothing disturbed it");
        }
        let error = capture(&gone, DEFAULT_SIGNAL, PATIENCE).expect_err("it has ended");
        assert!(matches!(error, NoStack::Gone), "{error}");
    }

    #[test]
    fn what_was_copied_names_the_function_that_was_interrupted() {
        #[inline(never)]
        fn is_interrupted(sender: &mpsc::Sender<Target>, stop: &AtomicBool) {
            sender.send(Target::this_thread()).expect("the test waits");
            while !black_box(stop.load(Ordering::Relaxed)) {}
        }
        install(DEFAULT_SIGNAL).expect("it may be");
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || is_interrupted(&sender, &seen));
        let target = receiver.recv().expect("it begins");
        let is_there = || {
            let raw = capture(&target, DEFAULT_SIGNAL, PATIENCE).expect("it can be");
            let stack = raw.resolve();
            let frames = stack.frames().iter();
            let mut names = frames.filter_map(|frame| frame.function.as_deref());
            names.any(|name| name.contains("is_interrupted"))
                // To the very end of the stack, past the thread's first function.
                && !stack.to_string().contains("missing")
        };
        assert!((0..100).any(|_| is_there()));
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("nothing disturbed it");
    }
}
