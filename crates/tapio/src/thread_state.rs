use std::{fmt, time::Duration};
#[derive(Clone, Debug)]
pub struct Syscall {
    pub number: i64,
}
impl Syscall {
    pub fn is_sleep(&self) -> bool {
        matches!(self.number, 35 | 230)
    }
    pub fn is_lock(&self) -> bool {
        self.number == 202
    }
}
impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}
pub(crate) enum ThreadState {
    Running,
    Blocked { syscall: Option<Syscall> },
    Stopped,
    Gone,
}
pub(crate) fn state_of(tid: i32) -> ThreadState {
    let Ok(s) = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")) else {
        return ThreadState::Gone;
    };
    let st = s.rsplit(") ").next().unwrap_or("").chars().next();
    match st {
        Some('R') => ThreadState::Running,
        Some('S' | 'D') => ThreadState::Blocked {
            syscall: std::fs::read_to_string(format!("/proc/self/task/{tid}/syscall"))
                .ok()
                .and_then(|s| s.split(' ').next()?.parse().ok())
                .map(|number| Syscall { number }),
        },
        Some('T' | 't') => ThreadState::Stopped,
        _ => ThreadState::Gone,
    }
}
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTimes {
    pub(crate) cpu: Duration,
}
pub(crate) fn cpu_times(tid: i32) -> Option<CpuTimes> {
    let s = std::fs::read_to_string(format!("/proc/self/task/{tid}/schedstat")).ok()?;
    Some(CpuTimes {
        cpu: Duration::from_nanos(s.split(' ').next()?.parse().ok()?),
    })
}
