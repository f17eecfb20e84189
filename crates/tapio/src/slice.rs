//! How long a thread keeps a CPU that others want as well.
//!
//! A thread with a short slice comes sooner after it wakes, and leaves sooner
//! while others wait; its share of the CPU stays the same. Linux has it since
//! 6.12 (`sched_setattr(2)`, `sched_runtime` of an ordinary thread); older
//! kernels ignore it.

#![expect(unsafe_code, reason = "system calls without safe wrappers")]

use std::time::Duration;

/// The least that the kernel grants.
const SLICE: Duration = Duration::from_micros(100);

/// Has this thread take short turns. Those that it starts take ordinary ones.
///
/// Does nothing to a thread whose user has chosen how it is scheduled.
pub(crate) fn shorten() {
    let Some(mut attributes) = get() else { return };
    let is_ordinary = attributes.sched_policy == libc::SCHED_OTHER as u32;
    // What resets the slice for children would reset a negative nice value.
    if !is_ordinary || attributes.sched_nice < 0 {
        return;
    }
    attributes.sched_flags |= libc::SCHED_FLAG_RESET_ON_FORK as u64;
    attributes.sched_runtime = SLICE.as_nanos() as u64;
    set(&attributes);
}

fn get() -> Option<libc::sched_attr> {
    let size = size_of::<libc::sched_attr>() as u32;
    let mut attributes = libc::sched_attr {
        size,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel writes `size` bytes at most, to a local that nobody
    // else knows of.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    (result == 0).then_some(attributes)
}

/// Refused in a sandbox that forbids the call; then all is as it was.
fn set(attributes: &libc::sched_attr) {
    // SAFETY: the kernel only reads them, while they are borrowed here.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *attributes, 0) };
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{SLICE, get, shorten};

    #[test]
    fn a_thread_takes_short_turns_and_its_children_do_not() {
        let ordinary = get().expect("one may ask").sched_runtime;
        if ordinary == 0 {
            // This kernel has no slices; then nothing may happen.
            return thread::spawn(shorten).join().expect("it does nothing");
        }
        let (own, childs) = thread::spawn(|| {
            shorten();
            let child = thread::spawn(get).join().expect("it asks");
            (get(), child)
        })
        .join()
        .expect("it asks");
        let slice = |attributes: Option<libc::sched_attr>| attributes.map(|of| of.sched_runtime);
        assert_eq!(slice(own), Some(SLICE.as_nanos() as u64));
        assert_eq!(slice(childs), Some(ordinary));
        assert_eq!(slice(get()), Some(ordinary));
    }
}
