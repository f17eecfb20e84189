//! Opens a ring and probes what it can do.

#![expect(unsafe_code, reason = "a probe submits to the ring that it just made")]

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, Probe, cqueue, opcode, types};
use rustix::event::{EventfdFlags, eventfd};

use super::ability::Ability;

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
}

impl fmt::Display for RingRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

/// Opens a ring of `entries`, or of fewer where the memory limit forbids so
/// many, and makes sure that it can do all that is not in `without`.
pub(crate) fn open_ring(mut entries: u32, without: &[Ability]) -> Result<IoUring, RingRefusal> {
    if let Some(&ability) = without.first() {
        return Err(RingRefusal::lacks(ability));
    }
    loop {
        let built = IoUring::builder()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .dontfork()
            .setup_cqsize(entries.saturating_mul(4))
            .build(entries);
        match built {
            Ok(ring) => {
                probe(&ring)?;
                return Ok(ring);
            }
            // Locked memory is counted per user, so a smaller ring may fit.
            Err(error) if is_no_memory(&error) && entries > ENTRIES_MIN => entries /= 2,
            Err(error) => return Err(RingRefusal::new("io_uring_setup", error)),
        }
    }
}

fn is_no_memory(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NOMEM.raw_os_error())
}

fn probe(ring: &IoUring) -> Result<(), RingRefusal> {
    let params = ring.params();
    let features = [
        (params.is_feature_ext_arg(), Ability::WaitTimeout),
        (params.is_feature_nodrop(), Ability::NoDrop),
        (params.is_feature_skip_cqe_on_success(), Ability::QuietSuccess),
    ];
    let mut known = Probe::new();
    ring.submitter()
        .register_probe(&mut known)
        .map_err(|error| RingRefusal::new("io_uring_register(probe)", error))?;
    let operations = [
        (known.is_supported(opcode::PollAdd::CODE), Ability::PollAdd),
        (known.is_supported(opcode::PollRemove::CODE), Ability::PollRemove),
    ];
    for (there, ability) in features.into_iter().chain(operations) {
        if !there {
            return Err(RingRefusal::lacks(ability));
        }
    }
    match multishot_poll_works(ring) {
        Ok(true) => Ok(()),
        Ok(false) => Err(RingRefusal::lacks(Ability::MultishotPoll)),
        Err(error) => Err(RingRefusal::new("io_uring_enter", error)),
    }
}

/// Whether one poll operation reports and stays armed, and whether it can be
/// removed. This also finds a filter that allows setup but not entering.
fn multishot_poll_works(ring: &IoUring) -> io::Result<bool> {
    const POLL: u64 = 1;
    const REMOVE: u64 = 2;
    let event = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let fd = types::Fd(event.as_raw_fd());
    let add = opcode::PollAdd::new(fd, POLLIN).multi(true).build();
    push(ring, &add.user_data(POLL))?;
    ring.submitter().submit_and_wait(1)?;
    let armed = next(ring).is_some_and(|entry| {
        entry.user_data() == POLL && entry.result() > 0 && cqueue::more(entry.flags())
    });
    let remove = opcode::PollRemove::new(POLL).build();
    push(ring, &remove.user_data(REMOVE))?;
    // Both the removal and the removed operation complete; all are taken, so
    // that the ring starts out empty.
    let mut left = if armed { 2 } else { 1 };
    while left > 0 {
        ring.submitter().submit_and_wait(1)?;
        while next(ring).is_some() {
            left -= 1;
        }
    }
    Ok(armed)
}

fn push(ring: &IoUring, entry: &io_uring::squeue::Entry) -> io::Result<()> {
    // SAFETY: the ring was made by our caller and is not shared with anybody
    // yet, so this is the only submission queue over it; the entry holds no
    // pointer, and its descriptor outlives the operation, which the probe
    // waits for.
    let pushed = unsafe { ring.submission_shared().push(entry) };
    pushed.map_err(|_| io::Error::other("the new ring's submission queue is full"))
}

fn next(ring: &IoUring) -> Option<cqueue::Entry> {
    // SAFETY: as in `push`, nobody else reaps this ring yet.
    unsafe { ring.completion_shared().next() }
}
