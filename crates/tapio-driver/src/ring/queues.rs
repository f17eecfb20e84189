//! A ring's two queues, which are memory shared with the kernel.

#![expect(
    unsafe_code,
    reason = "the queues are memory shared with the kernel; a lock on each side makes each single-owner"
)]

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::{EnterFlags, IoUring, Parameters, Probe, cqueue, squeue, types};
use parking_lot::Mutex;
use rustix::io::Errno;

/// A ring. Entries hold no pointers: what they name are descriptors.
pub(super) struct Queues {
    ring: IoUring,
    /// Held while the submission queue's tail is read or written.
    writing: Mutex<()>,
    /// Held while the completion queue's head is read or written.
    reaping: Mutex<()>,
    enter_flags: EnterFlags,
}

impl Queues {
    pub(super) fn new(ring: IoUring) -> Queues {
        // A worker that waits is idle, not waiting for a disk.
        let enter_flags = if ring.params().is_feature_no_iowait() {
            EnterFlags::NO_IOWAIT
        } else {
            EnterFlags::empty()
        };
        Queues {
            ring,
            writing: Mutex::new(()),
            reaping: Mutex::new(()),
            enter_flags,
        }
    }

    pub(super) fn params(&self) -> &Parameters {
        self.ring.params()
    }

    pub(super) fn register_probe(&self, probe: &mut Probe) -> io::Result<()> {
        self.ring.submitter().register_probe(probe)
    }

    /// Enables the ring for the calling thread, and for no other from now on.
    pub(super) fn enable(&self) -> io::Result<()> {
        self.ring.submitter().register_enable_rings()
    }

    /// Writes an entry; `false` when the queue is full.
    pub(super) fn push(&self, entry: &squeue::Entry) -> bool {
        let _writing = self.writing.lock();
        // SAFETY: the lock makes this the only view of the submission queue
        // that writes its tail, and what an entry names is a descriptor: one
        // that is closed before the kernel looks makes it answer EBADF.
        unsafe { self.ring.submission_shared().push(entry) }.is_ok()
    }

    /// How many entries wait for the kernel.
    pub(super) fn written(&self) -> usize {
        let _writing = self.writing.lock();
        // SAFETY: as in `push`; only lengths are read.
        unsafe { self.ring.submission_shared().len() }
    }

    /// Whether the kernel has completions that are not in the queue yet.
    pub(super) fn has_deferred(&self) -> bool {
        let _writing = self.writing.lock();
        // SAFETY: as in `push`; only flags are read.
        let queue = unsafe { self.ring.submission_shared() };
        queue.taskrun() || queue.cq_overflow()
    }

    pub(super) fn has_completions(&self) -> bool {
        let _reaping = self.reaping.lock();
        // SAFETY: as in `reap`; only lengths are read.
        unsafe { !self.ring.completion_shared().is_empty() }
    }

    /// Hands what is written to the kernel, has it complete what is deferred,
    /// and waits for `want` completions, at most for `timeout`. Only on the
    /// thread that enabled the ring.
    pub(super) fn enter(&self, want: u32, timeout: Option<&types::Timespec>) -> io::Result<()> {
        let submit = self.written() as u32;
        let mut flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if want > 0 {
            flags |= self.enter_flags;
        }
        let mut args = types::SubmitArgs::new();
        if let Some(timeout) = timeout {
            args = args.timespec(timeout);
        }
        // SAFETY: the flags announce exactly the argument that is passed, and
        // it lives until the call returns; entries written meanwhile by
        // others are left for the next call, since `submit` is fixed before.
        let entered = unsafe {
            self.ring
                .submitter()
                .enter(submit, want, flags.bits(), Some(&args))
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match Errno::from_io_error(&error) {
                // BUSY: the completion queue is full, and reaping it is all
                // that helps.
                Some(Errno::INTR | Errno::TIME | Errno::BUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Takes what the kernel completed.
    pub(super) fn reap(&self, mut take: impl FnMut(&cqueue::Entry)) {
        let _reaping = self.reaping.lock();
        // SAFETY: the lock makes this the only view of the completion queue
        // that moves its head.
        for entry in unsafe { self.ring.completion_shared() } {
            take(&entry);
        }
    }
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queues")
            .field(&self.ring.as_raw_fd())
            .finish()
    }
}
