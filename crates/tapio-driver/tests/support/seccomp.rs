//! Filters that refuse system calls, as containers and sandboxes install them.

#![expect(unsafe_code, reason = "installing a filter takes prctl")]

use std::io;

use libc::{c_long, sock_filter, sock_fprog};

/// Where a filter finds the number of the call (`struct seccomp_data`).
const NUMBER: u32 = 0;

/// From now on the kernel answers `errno` to `calls` on this thread and on
/// those that it starts, and nowhere else.
pub(crate) fn refuse(calls: &[c_long], errno: i32) {
    filter(calls, libc::SECCOMP_RET_ERRNO | errno as u32);
}

/// From now on each of `calls` ends the process, when made on this thread or on
/// those that it starts.
#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn kill_on(calls: &[c_long]) {
    filter(calls, libc::SECCOMP_RET_KILL_PROCESS);
}

fn filter(calls: &[c_long], action: u32) {
    // Numbers below are the classic BPF opcodes: load a word at a fixed
    // offset, jump if equal, return a constant.
    let load = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER);
    let refusal = statement(libc::BPF_RET | libc::BPF_K, action);
    let mut program = vec![load];
    for &call in calls {
        // If it is another call, the action is skipped.
        program.push(sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32)
        });
        program.push(refusal);
    }
    program.push(statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
    ));
    install(&mut program);
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

fn install(program: &mut [sock_filter]) {
    let program = sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: both calls take integers and, the second, a pointer to a program
    // that lives until the call returns; the kernel copies and checks it, and
    // it applies to this thread and its descendants alone.
    let outcome = unsafe {
        match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) {
            0 => libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                std::ptr::from_ref(&program),
            ),
            refused => refused,
        }
    };
    assert_eq!(outcome, 0, "seccomp: {}", io::Error::last_os_error());
}
