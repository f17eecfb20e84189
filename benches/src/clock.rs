//! Clocks: monotonic time, and the CPU time of this and of another process.
#![expect(unsafe_code, reason = "rustix has no clock of another process")]

use std::{fs, io, mem::MaybeUninit, time::Duration};

/// Monotonic nanoseconds, comparable between processes.
pub(crate) fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC).unwrap_or_default()
}

/// CPU time of all threads of this process, in nanoseconds.
pub(crate) fn own_cpu_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or_default()
}

/// The CPU time of another process, read without its help.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessClock {
    pid: i32,
    clock: libc::clockid_t,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuUse {
    /// User and system time, to the nanosecond.
    pub(crate) total_ns: u64,
    /// The user part as a share of the total: the kernel samples this one.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
}

impl ProcessClock {
    /// The clock of process `pid`.
    ///
    /// # Errors
    /// There is no such process.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        let mut clock = MaybeUninit::uninit();
        // SAFETY: `clock` is a local that the call alone writes to; it is read
        // only after the call has said that it did.
        let code = unsafe { libc::clock_getcpuclockid(pid, clock.as_mut_ptr()) };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        // SAFETY: the call succeeded, so it wrote the clock.
        let clock = unsafe { clock.assume_init() };
        Ok(Self { pid, clock })
    }

    /// What the process has used up to now.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn used(&self) -> io::Result<CpuUse> {
        let total_ns = read(self.clock)?;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name in parentheses may hold spaces; utime and stime are the
        // 12th and 13th fields behind it.
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = behind
            .split_whitespace()
            .skip(11)
            .map(|x| x.parse().unwrap_or(0));
        let mut next = || fields.next().unwrap_or_default();
        Ok(CpuUse {
            total_ns,
            user_ticks: next(),
            system_ticks: next(),
        })
    }
}

impl CpuUse {
    /// The use between `earlier` and this, and its user share.
    pub(crate) fn since(&self, earlier: &Self) -> (Duration, f64) {
        let user = self.user_ticks - earlier.user_ticks;
        let ticks = user + self.system_ticks - earlier.system_ticks;
        let share = if ticks == 0 {
            f64::NAN
        } else {
            user as f64 / ticks as f64
        };
        (
            Duration::from_nanos(self.total_ns - earlier.total_ns),
            share,
        )
    }
}

fn read(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a local that nobody else can touch during the call.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::{CpuUse, ProcessClock, now_ns, own_cpu_ns};

    #[test]
    fn clocks_advance_and_agree() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let clock = ProcessClock::of(pid).unwrap();
        let (before, start, own) = (clock.used().unwrap(), now_ns(), own_cpu_ns());
        while own_cpu_ns() < own + 20_000_000 {
            black_box(());
        }
        let (used, _) = clock.used().unwrap().since(&before);
        assert!(now_ns() > start);
        assert!(used.as_millis() >= 20, "{used:?}");
    }

    #[test]
    fn share_is_of_the_ticks_between() {
        let before = CpuUse {
            total_ns: 1_000,
            user_ticks: 10,
            system_ticks: 10,
        };
        let after = CpuUse {
            total_ns: 9_000,
            user_ticks: 11,
            system_ticks: 13,
        };
        let (used, user) = after.since(&before);
        assert_eq!((used.as_nanos(), user), (8_000, 0.25));
    }
}
