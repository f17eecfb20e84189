//! A stack as it was copied.

/// What of a thread's registers unwinding needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Registers {
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    /// `None` if the kernel does not say: of a thread that waits in it.
    pub(crate) fp: Option<u64>,
    /// Where a function returns to that has not stored it; as `fp`.
    #[cfg(target_arch = "aarch64")]
    pub(crate) lr: Option<u64>,
}

/// A copied stack.
#[derive(Debug)]
pub(crate) struct RawStack {
    pub(crate) registers: Registers,
    /// From the stack pointer on.
    pub(crate) words: Box<[u64]>,
    /// Whether the stack goes on after them.
    pub(crate) is_cut: bool,
}

impl RawStack {
    /// The word at an address, if it was copied.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        let offset = address.checked_sub(self.registers.sp)?;
        let index = usize::try_from(offset / 8).ok()?;
        if offset % 8 != 0 {
            return None;
        }
        self.words.get(index).copied()
    }
}
