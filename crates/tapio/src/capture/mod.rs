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
mod no_stack;
mod registers;
mod signals;
mod target;

use std::time::{Duration, Instant};

use parking_lot::Mutex;

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
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

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
