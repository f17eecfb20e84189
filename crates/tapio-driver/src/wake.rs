//! Any thread may wake a driver's owner.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use crate::error::named;
use crate::lock::Mutex;

const AWAKE: u8 = 0;
const PARKED: u8 = 1;
const NOTIFIED: u8 = 2;

/// The owner's alarm: an event descriptor that is written only while the
/// owner sleeps. It is watched edge by edge and never read.
///
/// ```text
/// AWAKE --begin_park--> PARKED --end_park--> AWAKE
///   \                      \ unpark (writes the descriptor)
///    \ unpark               v
///     `----------------> NOTIFIED --end_park--> AWAKE
/// ```
#[derive(Debug)]
pub(crate) struct Wake {
    state: AtomicU8,
    /// `None` once the driver is shut down: those who unpark may live on.
    event: Mutex<Option<Arc<OwnedFd>>>,
}

impl Wake {
    /// The alarm, and the descriptor by which the owner hears it.
    pub(crate) fn new() -> io::Result<(Wake, Arc<OwnedFd>)> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| named("eventfd", error))?;
        let event = Arc::new(event);
        let wake = Wake {
            state: AtomicU8::new(AWAKE),
            event: Mutex::new(Some(Arc::clone(&event))),
        };
        Ok((wake, event))
    }

    /// Whether the owner may sleep: nobody unparked it since its last park.
    pub(crate) fn begin_park(&self) -> bool {
        // AcqRel: the release half orders our last look at the queues before
        // the sleep; the acquire half pairs with the swap in `unpark`.
        self.state
            .compare_exchange(AWAKE, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The owner is awake again and has seen every unpark so far.
    pub(crate) fn end_park(&self) {
        // AcqRel: pairs with the swap in `unpark`, whose caller published its
        // work before.
        self.state.swap(AWAKE, Ordering::AcqRel);
    }

    pub(crate) fn unpark(&self) {
        // AcqRel: releases the caller's work to `begin_park` and `end_park`.
        if self.state.swap(NOTIFIED, Ordering::AcqRel) == PARKED
            && let Some(event) = &*self.event.lock()
        {
            // A full counter (2^64 - 2 unparks) is the only way to fail, and
            // it still leaves the descriptor readable.
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    /// Nobody sleeps here any more.
    pub(crate) fn close(&self) {
        drop(self.event.lock().take());
    }
}

#[cfg(test)]
mod tests {
    use super::Wake;

    /// What the descriptor was told, and nothing when it was left alone.
    fn told(event: &std::os::fd::OwnedFd) -> u64 {
        let mut count = [0; 8];
        match rustix::io::read(event, &mut count) {
            Ok(_) => u64::from_ne_bytes(count),
            Err(_) => 0,
        }
    }

    #[test]
    fn the_descriptor_is_written_for_sleepers_only() {
        let (wake, event) = Wake::new().expect("a descriptor");
        wake.unpark();
        wake.unpark();
        assert_eq!(told(&event), 0, "the owner is awake");
        assert!(!wake.begin_park(), "and must not sleep");
        wake.end_park();
        assert!(wake.begin_park());
        wake.unpark();
        wake.unpark();
        assert_eq!(told(&event), 1, "once for each sleep");
        wake.end_park();
        assert!(wake.begin_park(), "an unpark counts once");
        wake.close();
        wake.unpark();
        assert_eq!(told(&event), 0, "nobody listens");
    }
}
