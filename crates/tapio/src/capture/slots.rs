//! The exchanges, and who has which.

use tapio_driver::PerProcess;
use tapio_driver::lock::Mutex;

use super::exchange::Exchange;
use super::handler::{self, Copied};
use super::no_stack::NoStack;

/// Stacks that are copied at the same time, at most. Whoever waits for one gets
/// it at one of the next looks; each takes the memory of the largest copy that
/// it was ever used for.
pub(super) const SLOTS: usize = 8;

static IS_TAKEN: PerProcess<Mutex<[bool; SLOTS]>> = PerProcess::new(|_| Mutex::default());

/// Makes what the guard must not allocate.
pub(super) fn make_room() {
    let _ = IS_TAKEN.get();
}

/// The right to one exchange, on which a thread is asked.
#[derive(Debug)]
pub(super) struct Slot(usize);

impl Slot {
    /// Asks a thread for its stack on an exchange that nobody else has.
    pub(super) fn request(tid: i32, stack: (usize, usize)) -> Result<Slot, NoStack> {
        let exchanges = handler::exchanges().ok_or(NoStack::Unsupported)?;
        let mut is_taken = IS_TAKEN.lock();
        let mut free = (0..SLOTS).filter(|&index| !is_taken[index]);
        // Of those that are free, a late handler may be at work on one.
        let index = free.find(|&index| exchanges[index].request(tid, stack));
        let index = index.ok_or(NoStack::Busy)?;
        is_taken[index] = true;
        Ok(Slot(index))
    }

    pub(super) fn exchange(&self) -> &'static Exchange<Copied> {
        let exchanges = handler::exchanges();
        &exchanges.expect("there is one, since this was made")[self.0]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A handler that is at work goes on; the next request waits for it.
        let _ = self.exchange().give_up();
        IS_TAKEN.lock()[self.0] = false;
    }
}
