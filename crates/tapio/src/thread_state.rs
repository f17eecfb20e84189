//! What the kernel says of a thread: whether it runs or waits, in which system
//! call, and how much of a CPU it has had.
//!
//! What a thread does is read from `/proc/self/task/<tid>/`. Where that is not
//! mounted, no descriptor is free to open it with, or a file in it is kept from
//! us (`syscall` is, in some containers and in a process that has given up
//! root), the answer is that it is not known. How much time a thread has had on
//! CPUs is known without any of that.

#![expect(unsafe_code, reason = "a system call without a safe wrapper")]

use std::ffi::CStr;
use std::io::Write;
use std::time::Duration;
use std::{fmt, io};

use rustix::fs::{Mode, OFlags};
use syscalls::Sysno;

/// A system call.
///
/// It prints as its name, or as its number where that has no name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Syscall {
    /// Its number on this architecture.
    pub number: i64,
}

/// What a thread does.
#[derive(Debug)]
pub(crate) enum ThreadState {
    /// It has a CPU, or could use one.
    Running,
    /// It waits in the kernel: in which call, unless that is kept from us.
    Blocked(io::Result<Wait>),
    /// It was stopped by a signal or a debugger.
    Stopped,
    /// It has ended.
    Gone,
    /// It is there, and what it does is kept from us.
    Unknown(io::Error),
}

/// Where a thread waits. Two that are equal are of one wait, or of one that
/// was begun again at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// `None` for a thread that waits without having called, in a page fault
    /// say.
    pub(crate) syscall: Option<Syscall>,
    /// What the call was given.
    pub(crate) arguments: [u64; 6],
    /// The stack pointer and the program counter in user space.
    pub(crate) sp: u64,
    pub(crate) pc: u64,
}

impl Syscall {
    /// Its name, as `futex`.
    ///
    /// # Examples
    /// ```
    /// use tapio::guard::{Report, StallCause};
    ///
    /// let _reports = tapio::guard::on_report(|report| {
    ///     if let Report::Stall(stall) = report
    ///         && let StallCause::Blocked(Some(call)) = &stall.cause
    ///     {
    ///         println!("{} waits in {}", stall.role, call.name().unwrap_or("?"));
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        // The table is the crate `syscalls`', made from the kernel's own.
        let known = usize::try_from(self.number).ok().and_then(Sysno::new);
        known.map(|call| call.name())
    }

    /// Whether the kernel goes on with a wait that had been interrupted, and
    /// no longer says which call it was.
    pub(crate) fn is_restarted(&self) -> bool {
        self.name() == Some("restart_syscall")
    }

    /// The call that a function of the C library makes, by its name, as
    /// `__clock_nanosleep`.
    pub(crate) fn of_function(name: &str) -> Option<Syscall> {
        let name = name.trim_start_matches('_');
        let name = name.strip_prefix("GI___").unwrap_or(name);
        // Of a function for large files.
        let name = name.strip_suffix("64").unwrap_or(name);
        let call: Sysno = name.parse().ok()?;
        Some(Syscall {
            number: call.id().into(),
        })
    }

    /// Whether it gets memory or gives it back.
    pub(crate) fn is_of_memory(&self) -> bool {
        let calls = ["brk", "madvise", "mmap", "mprotect", "mremap", "munmap"];
        self.name().is_some_and(|name| calls.contains(&name))
    }

    pub(crate) fn is_sleep(&self) -> bool {
        matches!(self.name(), Some("nanosleep" | "clock_nanosleep"))
    }

    /// Whether it changes what memory there is, and so may keep others from
    /// reading it for as long as it takes.
    pub(crate) fn changes_memory(&self) -> bool {
        const CALLS: [&str; 14] = [
            "brk",
            "execve",
            "madvise",
            "mbind",
            "mlock",
            "mlock2",
            "mlockall",
            "mmap",
            "mprotect",
            "mremap",
            "munlock",
            "munmap",
            "pkey_mprotect",
            "shmat",
        ];
        self.name().is_some_and(|name| CALLS.contains(&name))
    }

    pub(crate) fn is_lock(&self) -> bool {
        let futexes = ["futex", "futex_wait", "futex_waitv"];
        self.name().is_some_and(|name| futexes.contains(&name))
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "number {}", self.number),
        }
    }
}

/// What a thread of this process does at this moment.
pub(crate) fn state_of(tid: i32) -> ThreadState {
    match read(tid, "stat", parse_state) {
        Ok(Some('R')) => ThreadState::Running,
        Ok(Some('S' | 'D' | 'I' | 'K' | 'W' | 'P')) => match wait_of(tid) {
            Ok(Some(wait)) => ThreadState::Blocked(Ok(wait)),
            // It has gone on meanwhile.
            Ok(None) => ThreadState::Running,
            Err(error) => ThreadState::Blocked(Err(error)),
        },
        Ok(Some('T' | 't')) => ThreadState::Stopped,
        Ok(_) => ThreadState::Gone,
        Err(error) if cpu_time(tid).is_some() => ThreadState::Unknown(error),
        Err(_) => ThreadState::Gone,
    }
}

/// Where a thread of this process waits; `None` when it does not.
pub(crate) fn wait_of(tid: i32) -> io::Result<Option<Wait>> {
    read(tid, "syscall", parse_wait)
}

/// How much time a thread of this process has had on CPUs, to the nanosecond;
/// `None` once it has ended.
///
/// # Cost
/// One system call, less than a microsecond.
pub(crate) fn cpu_time(tid: i32) -> Option<Duration> {
    let clock = cpu_clock(tid);
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes to a local that nobody else knows of, and
    // refuses a clock that there is not.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    (result == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// The clock of the time that a thread has had on CPUs.
pub(crate) fn cpu_clock(tid: i32) -> libc::clockid_t {
    // As the kernel numbers it (`posix-timers.h`): by the complement, above
    // three bits of which these say "of a thread" and "as the scheduler counts".
    !tid << 3 | 4 | 2
}

/// How often this thread left its CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    /// To wait for something.
    pub(crate) waits: i64,
    /// For others that wanted it.
    pub(crate) preemptions: i64,
}

impl Switches {
    /// # Cost
    /// One system call, less than a microsecond.
    pub(crate) fn so_far() -> Switches {
        // SAFETY: a value for which all zeroes are one.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes to a local that nobody else knows of.
        match unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) } {
            0 => Switches {
                waits: usage.ru_nvcsw,
                preemptions: usage.ru_nivcsw,
            },
            _ => Switches::default(),
        }
    }

    pub(crate) fn since(self, before: Switches) -> Switches {
        Switches {
            waits: self.waits - before.waits,
            preemptions: self.preemptions - before.preemptions,
        }
    }
}

/// Whether a thread of this process blocks a signal, as far as is known.
pub(crate) fn is_blocked(tid: i32, signal: i32) -> bool {
    let mask = read(tid, "status", parse_blocked);
    let mask = mask.ok().flatten();
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Reads a file of a thread's. Allocates nothing: the guard calls it, while the
/// thread that it looks at may be in the allocator. None of these files takes
/// the lock on the memory map (`fs/proc/array.c`, `fs/proc/base.c`), as `maps`
/// and `cmdline` do.
fn read<R>(tid: i32, file: &str, parse: impl FnOnce(&str) -> R) -> io::Result<R> {
    let mut path = [0; 64];
    write!(&mut path[..], "/proc/self/task/{tid}/{file}\0")?;
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| io::ErrorKind::InvalidInput)?;
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    // More than any of them has.
    let mut bytes = [0; 4096];
    let mut count = 0;
    while count < bytes.len() {
        match rustix::io::read(&file, &mut bytes[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(parse(text_at_end(&bytes[..count])))
}

/// A thread's name may be anything, so what comes before the end of it need not
/// be text.
fn text_at_end(mut bytes: &[u8]) -> &str {
    loop {
        match std::str::from_utf8(bytes) {
            Ok(text) => return text,
            Err(error) => bytes = &bytes[error.valid_up_to() + 1..],
        }
    }
}

/// The letter after the name, which is in parentheses and may hold some.
fn parse_state(stat: &str) -> Option<char> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.trim_start().chars().next()
}

/// `running`; or the number, what the call was given, the stack pointer and the
/// program counter; or -1 and the last two.
fn parse_wait(line: &str) -> Option<Wait> {
    let mut fields = line.split_whitespace();
    let number: i64 = fields.next()?.parse().ok()?;
    let mut hex = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
    let mut arguments = [0; 6];
    let syscall = (number >= 0).then_some(Syscall { number });
    if syscall.is_some() {
        for argument in &mut arguments {
            *argument = hex()?;
        }
    }
    Some(Wait {
        syscall,
        arguments,
        sp: hex()?,
        pc: hex()?,
    })
}

fn parse_blocked(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::{
        Switches, Syscall, ThreadState, Wait, cpu_time, is_blocked, parse_blocked, parse_state,
        parse_wait, state_of,
    };

    fn own_tid() -> i32 {
        let stat = std::fs::read_link("/proc/thread-self").expect("/proc is mounted");
        let name = stat.file_name().expect("it ends with the number");
        name.to_string_lossy().parse().expect("a number")
    }

    #[test]
    fn a_name_may_hold_what_surrounds_it() {
        assert_eq!(parse_state("7 (a) R (b) S 1 7 7"), Some('S'));
        assert_eq!(parse_state("7 () R"), Some('R'));
        for broken in ["", "7", "7 (name", "7 (name)", "7 (name) "] {
            assert_eq!(parse_state(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_wait_has_a_place_and_mostly_a_call() {
        let wait = parse_wait("202 0x7f 0x80 0x0 0x1 0x2 0x3 0x7ffc 0x7f11\n");
        let expected = Wait {
            syscall: Some(Syscall { number: 202 }),
            arguments: [0x7f, 0x80, 0, 1, 2, 3],
            sp: 0x7ffc,
            pc: 0x7f11,
        };
        assert_eq!(wait, Some(expected));
        let in_a_fault = Wait {
            syscall: None,
            arguments: [0; 6],
            ..expected
        };
        assert_eq!(parse_wait("-1 0x7ffc 0x7f11"), Some(in_a_fault));
        for none in ["running\n", "", "202", "202 0x7f 0x80", "-1", "-1 1 2"] {
            assert_eq!(parse_wait(none), None, "{none:?}");
        }
    }

    #[test]
    fn calls_have_names() {
        let call = |number: i64| Syscall { number };
        assert!(call(libc::SYS_futex).is_lock());
        assert!(call(libc::SYS_nanosleep).is_sleep());
        assert!(call(libc::SYS_clock_nanosleep).is_sleep());
        assert_eq!(call(libc::SYS_io_uring_enter).to_string(), "io_uring_enter");
        assert_eq!(call(1_000_000).to_string(), "number 1000000");
        assert_eq!(call(-1).name(), None);
        for function in [
            "clock_nanosleep",
            "__clock_nanosleep",
            "__GI___clock_nanosleep",
        ] {
            let known = Syscall::of_function(function);
            assert_eq!(known, Some(call(libc::SYS_clock_nanosleep)), "{function}");
        }
        assert_eq!(Syscall::of_function("std::thread::sleep"), None);
        assert!(call(libc::SYS_restart_syscall).is_restarted());
    }

    #[test]
    fn a_mask_is_read() {
        let status = "Name:\tSigBlk: 1\nSigPnd:\t0000000000000000\nSigBlk:\t0000000000400000\n";
        assert_eq!(parse_blocked(status), Some(1 << 22));
        assert_eq!(parse_blocked("Name:\tx\n"), None);
        assert!(!is_blocked(own_tid(), libc::SIGURG));
    }

    #[test]
    fn a_wait_is_counted() {
        let before = Switches::so_far();
        thread::sleep(Duration::from_millis(1));
        assert!(Switches::so_far().since(before).waits > 0);
    }

    #[test]
    fn a_thread_runs_waits_and_ends() {
        assert!(matches!(state_of(own_tid()), ThreadState::Running));
        let before = cpu_time(own_tid()).expect("the kernel counts");
        while cpu_time(own_tid()).expect("the kernel counts") == before {}

        let (mut near, far) = UnixStream::pair().expect("a pair");
        let (sender, receiver) = mpsc::channel();
        let waiting = thread::spawn(move || {
            sender.send(own_tid()).expect("the test waits for it");
            let _ = near.read(&mut [0]);
        });
        let tid = receiver.recv().expect("it begins");
        loop {
            if let ThreadState::Blocked(Ok(wait)) = state_of(tid)
                && let Some(call) = wait.syscall
                && matches!(call.name(), Some("recvfrom" | "read"))
            {
                break;
            }
            thread::yield_now();
        }
        drop(far);
        waiting.join().expect("it ends");
        while !matches!(state_of(tid), ThreadState::Gone) {
            thread::yield_now();
        }
        assert_eq!(cpu_time(tid), None);
    }
}
