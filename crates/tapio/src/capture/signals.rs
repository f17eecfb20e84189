//! Which signals may be the guard's.

use std::io;

/// Does nothing by default, and hardly anybody uses it: out-of-band data on a
/// socket whose owner was set.
pub(crate) const DEFAULT_SIGNAL: i32 = libc::SIGURG;

/// The largest number of a signal.
pub(super) const SIGNALS_MAX: usize = 64;

/// Refuses signals that cannot do, or whose own meaning a handler would take
/// away.
pub(super) fn check(signal: i32) -> io::Result<()> {
    let why = match signal {
        libc::SIGKILL | libc::SIGSTOP => "no handler can be set for it",
        libc::SIGSEGV
        | libc::SIGBUS
        | libc::SIGFPE
        | libc::SIGILL
        | libc::SIGTRAP
        | libc::SIGSYS
        | libc::SIGABRT => "it says that the program has a fault",
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU | libc::SIGCONT => {
            "it stops or continues the program"
        }
        libc::SIGCHLD => "it tells of children, and to ignore it has a meaning",
        1..32 => return Ok(()),
        _ if (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&signal) => return Ok(()),
        32..=64 => "the C library keeps it for itself",
        _ => "there is no such signal",
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "signal {signal} cannot be the one that copies stacks: {why}; choose SIGURG ({}) or \
             a real-time signal with `Builder::stall_signal` or TAPIO_STALL_SIGNAL",
            libc::SIGURG
        ),
    ))
}

/// Whether a signal that `check` allows ends the process by default.
pub(super) fn ends_the_process(signal: i32) -> bool {
    !matches!(signal, libc::SIGURG | libc::SIGWINCH)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn signals_with_a_meaning_of_their_own_are_refused_in_words() {
        let refused = [
            (0, "no such signal"),
            (-1, "no such signal"),
            (65, "no such signal"),
            (libc::SIGKILL, "no handler"),
            (libc::SIGSTOP, "no handler"),
            (libc::SIGSEGV, "fault"),
            (libc::SIGTSTP, "stops"),
            (libc::SIGCHLD, "children"),
            (32, "C library"),
        ];
        for (signal, words) in refused {
            let error = check(signal).expect_err("refused").to_string();
            assert!(error.contains(words), "{signal}: {error}");
        }
        for signal in [libc::SIGURG, libc::SIGUSR1, libc::SIGPROF, libc::SIGRTMIN()] {
            check(signal).expect("allowed");
        }
    }
}
