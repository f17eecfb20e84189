//! The registers of interrupted code, as far as unwinding needs them.

use crate::stack::Registers;

/// Whether stacks can be copied and unwound on this architecture.
pub(super) const IS_SUPPORTED: bool = cfg!(any(
    all(target_arch = "x86_64", target_pointer_width = "64"),
    target_arch = "aarch64"
));

#[cfg(target_arch = "x86_64")]
pub(super) fn read(context: &libc::ucontext_t) -> Registers {
    let general = &context.uc_mcontext.gregs;
    let register = |which: libc::c_int| general[which as usize] as u64;
    Registers {
        pc: register(libc::REG_RIP),
        sp: register(libc::REG_RSP),
        fp: Some(register(libc::REG_RBP)),
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) fn read(context: &libc::ucontext_t) -> Registers {
    let machine = &context.uc_mcontext;
    Registers {
        pc: machine.pc,
        sp: machine.sp,
        fp: Some(machine.regs[29]),
        lr: Some(machine.regs[30]),
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn read(_: &libc::ucontext_t) -> Registers {
    unreachable!("no handler is installed on this architecture")
}

/// What is known of a thread that waits in the kernel.
pub(super) fn of_blocked(sp: u64, pc: u64) -> Registers {
    Registers {
        pc,
        sp,
        ..Registers::default()
    }
}
