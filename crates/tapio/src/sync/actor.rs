//! Who holds a lock, or waits for one.

use std::panic::Location;
use std::task::Waker;

use crate::context;

/// A task; a thread that runs code which is no task's; or whatever another
/// executor polls. One number, so that it fits beside a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Actor(u64);

/// Set for a thread, whose number is not a task's.
const THREAD: u64 = 1 << 63;
/// Set for what another executor polls, known by its waker.
const FOREIGN: u64 = 1 << 62;

/// An actor, and where it was spawned or blocked on, if that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    pub(super) actor: Actor,
    pub(super) site: Option<&'static Location<'static>>,
    /// Whether `site` is that of a `block_on`.
    pub(super) is_block_on: bool,
}

impl Actor {
    /// Never zero: task ids start at one.
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    pub(super) fn from_bits(bits: u64) -> Option<Actor> {
        (bits != 0).then_some(Actor(bits))
    }

    /// The task's number.
    pub(super) fn task(self) -> Option<u64> {
        (self.0 & (THREAD | FOREIGN) == 0).then_some(self.0)
    }

    pub(super) fn is_foreign(self) -> bool {
        self.0 & FOREIGN != 0
    }
}

impl Here {
    /// Who runs on this thread.
    ///
    /// # Cost
    /// Two relaxed loads inside of a task.
    #[inline]
    pub(super) fn now(waker: Option<&Waker>) -> Here {
        let (task, running) = context::current();
        let site = running.location();
        if task != 0 && !running.is_block_on() {
            return Here {
                actor: Actor(task),
                site,
                is_block_on: false,
            };
        }
        Here {
            actor: Here::outside(task, site.is_some(), waker),
            site,
            is_block_on: site.is_some() && !running.is_callback(),
        }
    }

    #[cold]
    fn outside(task: u64, is_block_on: bool, waker: Option<&Waker>) -> Actor {
        if task != 0 {
            return Actor(task);
        }
        match waker {
            // A future of another executor is told from its neighbours on the
            // same thread by its waker.
            Some(waker) if !is_block_on => Actor(FOREIGN | (waker.data() as u64 & !THREAD)),
            _ => Actor(THREAD | context::thread_number() as u64),
        }
    }
}
