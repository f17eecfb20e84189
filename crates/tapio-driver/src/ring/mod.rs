//! The `io_uring` driver: one ring per worker.
//!
//! Streams are watched by multishot `POLL_ADD`, one operation per direction.
//! Such an operation keeps its file open in the kernel, so releasing a stream
//! on the owner's thread submits the removal at once and the `close` that
//! follows is as immediate as anywhere. All else: listeners, datagrams, `AsyncFd`
//! ([`Lane::Unheld`]) are watched by an `epoll` that the ring polls: it holds
//! no reference, so their ports are free the moment they are closed, even
//! when the process is killed.
//!
//! - `ability` names what a kernel must offer; `setup` opens rings and probes
//! - `queues` is the memory shared with the kernel
//! - `submission` is what is asked and what the answers mean
//! - this file is the driver: park, reap, change hands, shut down
//!
//! A ring is bound to one thread (`SINGLE_ISSUER`, `DEFER_TASKRUN`), which
//! costs less for each completion; `docs/decisions/0003-rings-bound-to-threads.md`
//! has the measurement, and how another thread takes over.

mod ability;
mod queues;
mod setup;
mod submission;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use io_uring::types;

pub use self::ability::Ability;
pub(crate) use self::setup::RingRefusal;
use self::setup::probe;
use self::submission::{Completion, Submission};
use crate::contract::{Driver, DriverKind, Limit, Remote};
use crate::poll::{Epoll, Events};
use crate::source::{Direction, Lane, Source};
use crate::wake::Wake;
use crate::wakes::Wakes;

/// The owner's half.
#[derive(Debug)]
pub(crate) struct RingDriver {
    remote: Arc<RingRemote>,
    /// The waiting side of the `epoll` for unheld sources.
    events: Events,
    completions: Vec<Completion>,
}

/// Everybody's half.
#[derive(Debug)]
struct RingRemote {
    submission: Submission,
    epoll: Epoll,
    wake: Wake,
}

impl RingDriver {
    pub(crate) fn new(entries: u32, without: &[Ability]) -> Result<RingDriver, RingRefusal> {
        // On a thread of its own, which is gone when the kernel tears the
        // probe's ring down: that interrupts the system call that the ring's
        // thread is in, and our caller is somebody else's thread.
        std::thread::scope(|scope| scope.spawn(|| probe(without)).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let other = |error: io::Error| RingRefusal::new("its descriptors", error);
        let (wake, alarm) = Wake::new().map_err(other)?;
        let epoll = Epoll::new().map_err(other)?;
        let (events, unheld) = epoll.events();
        let submission = Submission::new(entries, alarm.as_fd(), unheld.as_fd())?;
        Ok(RingDriver {
            remote: Arc::new(RingRemote {
                submission,
                epoll,
                wake,
            }),
            events,
            completions: Vec::new(),
        })
    }

    /// Takes what the kernel completed and reports it.
    fn reap(&mut self, wakes: &mut Wakes) -> io::Result<()> {
        let mut completions = std::mem::take(&mut self.completions);
        self.remote.submission.reap(&mut completions);
        let mut outcome = Ok(());
        for completion in completions.drain(..) {
            match completion {
                Completion::Ready { source, ready } => source.report(ready, wakes),
                Completion::Ended { source, direction } => source.disarmed(direction, wakes),
                Completion::Unheld => outcome = outcome.and(self.reap_unheld(wakes)),
            }
        }
        self.completions = completions;
        outcome
    }

    fn reap_unheld(&mut self, wakes: &mut Wakes) -> io::Result<()> {
        loop {
            self.events.wait(Limit::NoWait)?;
            let more = self.events.is_full();
            self.remote.epoll.dispatch(&mut self.events, wakes);
            if !more {
                return Ok(());
            }
        }
    }
}

impl Driver for RingDriver {
    fn kind(&self) -> DriverKind {
        DriverKind::Ring
    }

    fn remote(&self) -> Arc<dyn Remote> {
        Arc::clone(&self.remote) as Arc<dyn Remote>
    }

    fn occupy(&mut self) -> io::Result<()> {
        self.remote.submission.occupy()
    }

    fn park(&mut self, limit: Limit, wakes: &mut Wakes) -> io::Result<()> {
        let remote = &self.remote;
        let sleeps = limit != Limit::NoWait && remote.wake.begin_park();
        let outcome = if sleeps {
            let timeout = match limit {
                Limit::Until(moment) => Some(timespec(moment)),
                _ => None,
            };
            let outcome = remote.submission.wait(timeout.as_ref());
            remote.wake.end_park();
            outcome
        } else {
            let outcome = remote.submission.flush();
            if limit != Limit::NoWait {
                remote.wake.end_park();
            }
            outcome
        };
        outcome.and(self.reap(wakes))
    }

    fn shut_down(&mut self, wakes: &mut Wakes) {
        self.remote.submission.shut_down(wakes);
        self.events.close();
        self.remote.epoll.shut_down(wakes);
        self.remote.wake.close();
    }
}

impl Drop for RingDriver {
    fn drop(&mut self) {
        // Sources and their driver hold each other until it is shut down.
        let mut wakes = Wakes::default();
        self.shut_down(&mut wakes);
        wakes.wake_all();
    }
}

impl Remote for RingRemote {
    fn arm(&self, source: &Arc<Source>, direction: Direction) -> io::Result<()> {
        match source.lane() {
            Lane::Unheld => self.epoll.arm(source),
            Lane::Stream => {
                if self.submission.watch(source, direction)? {
                    self.wake.unpark();
                }
                Ok(())
            }
        }
    }

    fn release(&self, source: &Arc<Source>) {
        match source.lane() {
            Lane::Unheld => self.epoll.release(source),
            Lane::Stream => {
                if self.submission.unwatch(source) {
                    self.wake.unpark();
                }
            }
        }
    }

    fn unpark(&self) {
        self.wake.unpark();
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn live(&self) -> usize {
        self.submission.live() + self.epoll.live()
    }
}

fn timespec(moment: Instant) -> types::Timespec {
    let left = moment.saturating_duration_since(Instant::now());
    types::Timespec::new()
        .sec(left.as_secs())
        .nsec(left.subsec_nanos())
}
