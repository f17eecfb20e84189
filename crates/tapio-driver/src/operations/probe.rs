//! Finds out whether the kernel gives a ring, with a small one of its own.

#![expect(
    unsafe_code,
    reason = "an entry is written into memory shared with the kernel"
)]

use std::io;

use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

use super::ability::Ability;
use super::refusal::Refusal;

/// Entries of the ring that is probed with.
const ENTRIES: u32 = 8;

/// Makes sure that the kernel can do all that operations need and that is not
/// in `without`.
///
/// The ring is made and ended on a thread of its own: the kernel interrupts
/// the system calls of every thread that ever made or entered a ring when that
/// ring ends, and the caller's thread belongs to somebody else.
pub(crate) fn probe(without: &[Ability]) -> Result<(), Refusal> {
    if let Some(&ability) = without.first() {
        return Err(lacks(ability));
    }
    std::thread::scope(|scope| {
        let probing = std::thread::Builder::new().spawn_scoped(scope, probe_here);
        let probing = probing.map_err(|error| refused("a thread to probe on", error))?;
        probing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn probe_here() -> Result<(), Refusal> {
    let ring = IoUring::builder().dontfork().build(ENTRIES);
    let mut ring = ring.map_err(|error| refused("io_uring_setup", error))?;
    if !ring.params().is_feature_nodrop() {
        return Err(lacks(Ability::NoDrop));
    }
    let mut known = Probe::new();
    ring.submitter()
        .register_probe(&mut known)
        .map_err(|error| refused("io_uring_register(probe)", error))?;
    let operations = [
        (opcode::OpenAt2::CODE, Ability::Open),
        (opcode::Read::CODE, Ability::Read),
        (opcode::Write::CODE, Ability::Write),
        (opcode::AsyncCancel::CODE, Ability::AsyncCancel),
    ];
    for (code, ability) in operations {
        if !known.is_supported(code) {
            return Err(lacks(ability));
        }
    }
    complete_one(&mut ring).map_err(|error| refused("io_uring_enter", error))
}

/// Has the ring complete an operation that does nothing, which finds a filter
/// that allows setup but not entering.
fn complete_one(ring: &mut IoUring) -> io::Result<()> {
    // SAFETY: the entry holds no pointer, and nobody else has this ring.
    let pushed = unsafe { ring.submission().push(&opcode::Nop::new().build()) };
    pushed.map_err(io::Error::other)?;
    while ring.completion().is_empty() {
        match ring.submit_and_wait(1) {
            // A signal may end the wait before anything is there.
            Err(error) if error.raw_os_error() == Some(Errno::INTR.raw_os_error()) => {}
            outcome => {
                outcome?;
            }
        }
    }
    Ok(())
}

fn lacks(ability: Ability) -> Refusal {
    let error = io::Error::from(io::ErrorKind::Unsupported);
    refused(&format!("ability `{ability}`"), error)
}

fn refused(what: &str, error: io::Error) -> Refusal {
    Refusal::new(format!("{what}: {error}"))
}
