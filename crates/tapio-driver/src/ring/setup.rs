//! Opens a ring and probes what the kernel can do.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, Probe, cqueue, opcode, types};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::ability::Ability;
use super::queues::Queues;

/// Below this many entries a ring is not worth having.
const ENTRIES_MIN: u32 = 8;
const POLLIN: u32 = 0x001;

/// Why there is no ring.
#[derive(Debug)]
pub(crate) struct RingRefusal {
    what: String,
    error: io::Error,
}

impl RingRefusal {
    pub(crate) fn new(what: impl Into<String>, error: io::Error) -> RingRefusal {
        RingRefusal {
            what: what.into(),
            error,
        }
    }

    fn lacks(ability: Ability) -> RingRefusal {
        RingRefusal::new(
            format!("ability `{ability}`"),
            io::Error::from(io::ErrorKind::Unsupported),
        )
    }

    pub(crate) fn into_error(self) -> io::Error {
        io::Error::new(self.error.kind(), self.to_string())
    }
}

impl fmt::Display for RingRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

/// Opens a ring of `entries`, or of fewer where the memory limit forbids so
/// many. It is disabled: the thread that enables it is the one that must
/// enter it from then on.
pub(crate) fn open_ring(mut entries: u32) -> Result<Queues, RingRefusal> {
    loop {
        let built = IoUring::builder()
            .setup_r_disabled()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .dontfork()
            .setup_cqsize(entries.saturating_mul(4))
            .build(entries);
        match built {
            Ok(ring) => return Ok(Queues::new(ring)),
            // Locked memory is counted per user, so a smaller ring may fit.
            Err(error) if is(&error, Errno::NOMEM) && entries > ENTRIES_MIN => entries /= 2,
            // A kernel that knows rings, but not these flags.
            Err(error) if is(&error, Errno::INVAL) => {
                return Err(RingRefusal::lacks(Ability::DeferTaskrun));
            }
            Err(error) => return Err(RingRefusal::new("io_uring_setup", error)),
        }
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// Makes sure, with a small ring of its own, that the kernel can do all that
/// the driver needs and that is not in `without`.
pub(crate) fn probe(without: &[Ability]) -> Result<(), RingRefusal> {
    if let Some(&ability) = without.first() {
        return Err(RingRefusal::lacks(ability));
    }
    let queues = open_ring(ENTRIES_MIN)?;
    queues
        .enable()
        .map_err(|error| RingRefusal::new("io_uring_register(enable)", error))?;
    let params = queues.params();
    let features = [
        (params.is_feature_ext_arg(), Ability::WaitTimeout),
        (params.is_feature_nodrop(), Ability::NoDrop),
        (
            params.is_feature_skip_cqe_on_success(),
            Ability::QuietSuccess,
        ),
    ];
    let mut known = Probe::new();
    queues
        .register_probe(&mut known)
        .map_err(|error| RingRefusal::new("io_uring_register(probe)", error))?;
    let operations = [
        (known.is_supported(opcode::PollAdd::CODE), Ability::PollAdd),
        (
            known.is_supported(opcode::AsyncCancel::CODE),
            Ability::AsyncCancel,
        ),
    ];
    for (there, ability) in features.into_iter().chain(operations) {
        if !there {
            return Err(RingRefusal::lacks(ability));
        }
    }
    if multishot_poll_works(&queues)? {
        Ok(())
    } else {
        Err(RingRefusal::lacks(Ability::MultishotPoll))
    }
}

/// Whether a poll operation reports and stays armed. This also finds a filter
/// that allows setup but not entering.
fn multishot_poll_works(queues: &Queues) -> Result<bool, RingRefusal> {
    let event = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|error| RingRefusal::new("eventfd", error.into()))?;
    let poll = opcode::PollAdd::new(types::Fd(event.as_raw_fd()), POLLIN).multi(true);
    if !queues.push(&poll.build()) {
        return Ok(false);
    }
    let mut armed = None;
    while armed.is_none() {
        // A signal may end the wait before anything is there.
        queues
            .enter(1, None)
            .map_err(|error| RingRefusal::new("io_uring_enter", error))?;
        queues.reap(|entry| armed = Some(entry.result() > 0 && cqueue::more(entry.flags())));
    }
    Ok(armed == Some(true))
}
