//! The driver: one `epoll` for each seat, which any thread may wait on.
//!
//! `epoll` is used directly rather than through the `polling` crate, which
//! makes five system calls for each wait where one is enough; see
//! `docs/decisions/0002-epoll-without-polling.md`.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use crate::contract::{Driver, Limit, Remote};
use crate::epoll::{Epoll, Events};
use crate::error::named;
use crate::source::Source;
use crate::wake::Wake;
use crate::wakes::Wakes;

/// The owner's half.
#[derive(Debug)]
struct EpollDriver {
    remote: Arc<EpollRemote>,
    events: Events,
}

/// Everybody's half.
#[derive(Debug)]
struct EpollRemote {
    epoll: Epoll,
    wake: Wake,
}

/// Opens a driver.
///
/// # Errors
/// When no descriptor or no memory is left.
pub fn open() -> io::Result<Box<dyn Driver>> {
    let driver = EpollDriver::new().map_err(|error| named("no driver", error))?;
    Ok(Box::new(driver))
}

impl EpollDriver {
    fn new() -> io::Result<EpollDriver> {
        let (wake, alarm) = Wake::new()?;
        let epoll = Epoll::new()?;
        let events = epoll.events(alarm.as_fd())?;
        Ok(EpollDriver {
            remote: Arc::new(EpollRemote { epoll, wake }),
            events,
        })
    }
}

impl Driver for EpollDriver {
    fn remote(&self) -> Arc<dyn Remote> {
        Arc::clone(&self.remote) as Arc<dyn Remote>
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

impl Drop for EpollDriver {
    fn drop(&mut self) {
        // Sources and their driver hold each other until it is shut down.
        let mut wakes = Wakes::default();
        self.shut_down(&mut wakes);
        wakes.wake_all();
    }
}

impl Remote for EpollRemote {
    fn arm(&self, source: &Arc<Source>) -> io::Result<()> {
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
