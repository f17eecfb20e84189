//! The readiness driver: one `epoll` per worker.
//!
//! `epoll` is used directly rather than through the `polling` crate, which
//! makes five system calls for each wait where one is enough; see
//! `docs/decisions/0002-epoll-without-polling.md`.

mod epoll;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use self::epoll::{Epoll, Events};
use crate::contract::{Driver, DriverKind, Limit, Remote};
use crate::source::{Direction, Source};
use crate::wake::Wake;
use crate::wakes::Wakes;

/// The owner's half.
#[derive(Debug)]
pub(crate) struct PollDriver {
    remote: Arc<PollRemote>,
    events: Events,
}

/// Everybody's half.
#[derive(Debug)]
struct PollRemote {
    epoll: Epoll,
    wake: Wake,
}

impl PollDriver {
    pub(crate) fn new() -> io::Result<PollDriver> {
        let (wake, alarm) = Wake::new()?;
        let epoll = Epoll::new()?;
        let events = epoll.watch_alarm(alarm.as_fd())?;
        Ok(PollDriver {
            remote: Arc::new(PollRemote { epoll, wake }),
            events,
        })
    }
}

impl Driver for PollDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Poll
    }

    fn remote(&self) -> Arc<dyn Remote> {
        Arc::clone(&self.remote) as Arc<dyn Remote>
    }

    fn occupy(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn park(&mut self, limit: Limit, wakes: &mut Wakes) -> io::Result<()> {
        let limit = match limit {
            Limit::NoWait => Limit::NoWait,
            _ if !self.remote.wake.begin_park() => Limit::NoWait,
            limit => limit,
        };
        let outcome = self.events.wait(limit);
        self.remote.wake.end_park();
        outcome?;
        self.remote.epoll.dispatch(&mut self.events, wakes);
        Ok(())
    }

    fn shut_down(&mut self, wakes: &mut Wakes) {
        self.events.close();
        self.remote.epoll.shut_down(wakes);
        self.remote.wake.close();
    }
}

impl Drop for PollDriver {
    fn drop(&mut self) {
        // Sources and their driver hold each other until it is shut down.
        let mut wakes = Wakes::default();
        self.shut_down(&mut wakes);
        wakes.wake_all();
    }
}

impl Remote for PollRemote {
    fn arm(&self, source: &Arc<Source>, _: Direction) -> io::Result<()> {
        self.epoll.arm(source)
    }

    fn release(&self, source: &Arc<Source>) {
        self.epoll.release(source);
    }

    fn unpark(&self) {
        self.wake.unpark();
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn live(&self) -> usize {
        self.epoll.live()
    }
}
