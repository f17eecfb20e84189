//! An `epoll` instance and the sources that it watches, edge by edge.
//!
//! Any thread adds and removes sources; one thread at a time waits. The kernel
//! is given a key and a generation rather than a pointer, so a report that was
//! fetched just before its source was released meets a dead key and is dropped.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{Timespec, epoll};
use slab::Slab;

use crate::contract::Limit;
use crate::error::{named, shut_down_error};
use crate::ready::Ready;
use crate::source::Source;
use crate::wakes::Wakes;

/// How many events one system call fetches.
const BATCH: usize = 256;
/// The longest wait: beyond 2^31 ms it takes `epoll_pwait2`, which kernels
/// before 5.11 and many a filter refuse.
const WAIT_MAX: Duration = Duration::from_secs(1_000_000);
/// The key of the alarm, which has no source.
const ALARM: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Epoll {
    registry: Mutex<Registry>,
}

#[derive(Debug)]
struct Registry {
    /// `None` once shut down.
    fd: Option<Arc<OwnedFd>>,
    sources: Slab<(u32, Arc<Source>)>,
    generation: u32,
}

/// The waiting side: held by the one thread that waits.
#[derive(Debug)]
pub(crate) struct Events {
    fd: Option<Arc<OwnedFd>>,
    list: Vec<(u64, u32)>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        let fd = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| named("epoll_create", error))?;
        let fd = Arc::new(fd);
        Ok(Epoll {
            registry: Mutex::new(Registry {
                fd: Some(fd),
                sources: Slab::new(),
                generation: 0,
            }),
        })
    }

    /// The waiting side, which `alarm` also wakes.
    pub(crate) fn events(&self, alarm: BorrowedFd<'_>) -> io::Result<Events> {
        let fd = self.registry.lock().fd.clone();
        let fd = fd.expect("not shut down before it is used");
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&*fd, alarm, epoll::EventData::new_u64(ALARM), flags)?;
        Ok(Events {
            fd: Some(fd),
            list: Vec::with_capacity(BATCH),
        })
    }

    /// Watches both directions of `source`, unless it does already.
    pub(crate) fn arm(&self, source: &Arc<Source>) -> io::Result<()> {
        let mut registry = self.registry.lock();
        let fd = registry.fd.clone().ok_or_else(shut_down_error)?;
        if source.key().is_some() {
            return Ok(());
        }
        registry.generation = registry.generation.wrapping_add(1);
        let generation = registry.generation;
        let key = registry.sources.insert((generation, Arc::clone(source)));
        source.set_key(Some(key as u32));
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::PRI
            | epoll::EventFlags::ET;
        let data = u64::from(generation) << 32 | key as u64;
        let added = epoll::add(&*fd, source.as_fd(), epoll::EventData::new_u64(data), flags);
        if let Err(error) = added {
            registry.sources.remove(key);
            source.set_key(None);
            return Err(error.into());
        }
        Ok(())
    }

    pub(crate) fn release(&self, source: &Arc<Source>) {
        let mut registry = self.registry.lock();
        let Some(key) = source.key() else {
            return;
        };
        let known = registry.sources.try_remove(key as usize);
        source.set_key(None);
        // Closing would be enough unless the descriptor was duplicated, in
        // which case the watch would outlive it.
        if let Some(fd) = &registry.fd {
            let _ = epoll::delete(&**fd, source.as_fd());
        }
        drop(registry);
        drop(known);
    }

    /// Reports the events that were fetched.
    pub(crate) fn dispatch(&self, events: &mut Events, wakes: &mut Wakes) {
        if events.list.is_empty() {
            return;
        }
        let registry = self.registry.lock();
        for (data, flags) in events.list.drain(..) {
            if data == ALARM {
                continue;
            }
            let (key, generation) = (data as u32 as usize, (data >> 32) as u32);
            if let Some((known, source)) = registry.sources.get(key)
                && *known == generation
            {
                source.report(Ready::from_poll(flags), wakes);
            }
        }
    }

    pub(crate) fn shut_down(&self, wakes: &mut Wakes) {
        let mut registry = self.registry.lock();
        registry.fd = None;
        let sources = std::mem::take(&mut registry.sources);
        drop(registry);
        for (_, (_, source)) in sources {
            source.set_key(None);
            source.shut_down(wakes);
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.registry.lock().sources.len()
    }
}

impl Events {
    /// Fetches what is there, at most one batch, waiting as `limit` says.
    pub(crate) fn wait(&mut self, limit: Limit) -> io::Result<()> {
        self.list.clear();
        let Some(fd) = &self.fd else {
            return Err(shut_down_error());
        };
        let timeout = timeout(limit);
        let mut buffer = [const { MaybeUninit::uninit() }; BATCH];
        match epoll::wait(&**fd, &mut buffer, timeout.as_ref()) {
            Ok((fetched, _)) => {
                self.list.extend(fetched.iter().map(|event| {
                    let flags = event.flags;
                    (event.data.u64(), flags.bits())
                }));
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn close(&mut self) {
        self.fd = None;
        self.list.clear();
    }
}

/// A limit as the kernel takes it: relative, `None` for ever.
fn timeout(limit: Limit) -> Option<Timespec> {
    match limit {
        Limit::NoWait => Some(Timespec::default()),
        Limit::Forever => None,
        Limit::Until(moment) => {
            let left = moment.saturating_duration_since(Instant::now());
            let left = left.min(WAIT_MAX);
            Some(Timespec {
                tv_sec: left.as_secs().try_into().expect("it is bounded"),
                tv_nsec: left.subsec_nanos().into(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixStream;

    use super::Epoll;
    use crate::contract::Limit;
    use crate::ready::Ready;
    use crate::source::{Direction, Source};
    use crate::wake::Wake;
    use crate::wakes::Wakes;

    #[test]
    fn what_was_fetched_for_one_source_never_reaches_the_next() {
        let epoll = Epoll::new().expect("an epoll");
        let (_wake, alarm) = Wake::new().expect("an alarm");
        let mut events = epoll
            .events(alarm.as_fd())
            .expect("an alarm can be watched");
        let mut wakes = Wakes::default();
        let (near, far) = UnixStream::pair().expect("a pair");
        let source = Source::new(near.as_raw_fd());
        epoll.arm(&source).expect("a socket can be watched");
        let key = source.key();
        drop(far);
        events.wait(Limit::NoWait).expect("the end is fetched");
        // Another thread lets go of it just now, and gets the same key and the
        // same descriptor for something else.
        epoll.release(&source);
        drop(near);
        let (near, _far) = UnixStream::pair().expect("a pair");
        let next = Source::new(near.as_raw_fd());
        epoll.arm(&next).expect("a socket can be watched");
        assert_eq!(next.key(), key, "else this tests nothing");
        epoll.dispatch(&mut events, &mut wakes);
        let ready = next.event(Ready::ALL).ready;
        assert!(next.is_assumed(Direction::Read) && !ready.is_read_closed());
        assert!(!source.event(Ready::ALL).ready.is_read_closed());
    }
}
