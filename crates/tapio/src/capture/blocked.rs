//! The stack of a thread that waits in the kernel, read without the thread.

use std::io;

use super::handler::COPY_WORDS_MAX;
use super::no_stack::NoStack;
use super::registers;
use super::target::Target;
use crate::stack::{RawStack, memory};
use crate::thread_state::{Wait, wait_of};

/// Copies the stack of a thread that is in `wait`. Nothing of it reaches the
/// thread; what was copied counts only if it still waits there afterwards.
pub(crate) fn copy_blocked(target: &Target, wait: &Wait) -> Result<RawStack, NoStack> {
    if !registers::IS_SUPPORTED {
        return Err(NoStack::Unsupported);
    }
    // The kernel would have us wait until it is through.
    if let Some(call) = wait.syscall
        && call.changes_memory()
    {
        return Err(NoStack::ChangesMemory(call));
    }
    let (low, high) = target.stack();
    let word = size_of::<u64>();
    let count = match usize::try_from(wait.sp) {
        Ok(sp) if (low..high).contains(&sp) => ((high - sp) / word).min(COPY_WORDS_MAX),
        // Not its own, a coroutine's: the kernel finds where it ends.
        _ => COPY_WORDS_MAX,
    };
    let mut words = vec![0; count];
    let read = memory::read(wait.sp, &mut words);
    let read = read.map_err(|errno| NoStack::Unreadable(io::Error::from_raw_os_error(errno)))?;
    words.truncate(read);
    match wait_of(target.tid()) {
        Ok(Some(now)) if now == *wait => {}
        Ok(_) => return Err(NoStack::WentOn),
        Err(error) => return Err(NoStack::Unknown(error)),
    }
    Ok(RawStack {
        registers: registers::of_blocked(wait.sp, wait.pc),
        words: words.into(),
        is_cut: read == COPY_WORDS_MAX,
    })
}
