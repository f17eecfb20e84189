use crate::stack::Stack;
use std::{fmt, io, time::Duration};
pub(crate) struct Target(i32);
impl Target {
    pub(crate) fn this_thread() -> Target {
        Target(rustix::thread::gettid().as_raw_nonzero().get())
    }
    pub(crate) fn tid(&self) -> i32 {
        self.0
    }
}
pub(crate) const DEFAULT_SIGNAL: i32 = libc::SIGURG;
pub(crate) fn install(_: i32) -> io::Result<()> {
    Ok(())
}
pub(crate) struct RawStack;
impl RawStack {
    pub(crate) fn resolve(&self) -> Stack {
        Stack
    }
}
pub(crate) enum NoStack {
    TimedOut,
}
impl fmt::Display for NoStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stub")
    }
}
pub(crate) fn capture(_: &Target, _: i32, _: Duration) -> Result<RawStack, NoStack> {
    Err(NoStack::TimedOut)
}
