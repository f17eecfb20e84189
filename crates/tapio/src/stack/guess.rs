//! The frame pointer of a thread that waits in the kernel, which does not say
//! it: what it may be, by what is on the stack.

use super::memory;
use super::raw::RawStack;

/// The frame pointers that a function may have whose own part of the stack
/// begins at `from`, innermost first: below one is where the caller's was
/// stored, and above that where the function returns to.
pub(super) fn frame_pointers(
    raw: &RawStack,
    from: u64,
    is_code: impl Fn(u64) -> bool,
) -> impl Iterator<Item = u64> {
    let begin = raw.registers.sp;
    let pairs = raw.words.windows(2).zip(0_u64..);
    let pairs = pairs.map(move |(pair, index)| (begin + 8 * index, pair[1]));
    pairs
        .filter(move |&(address, returns_to)| {
            address >= from && is_code(returns_to) && follows_a_call(returns_to)
        })
        .map(|(address, _)| address)
}

/// How far into a function its code is looked for: few are longer.
const FUNCTION_MAX: u64 = 64 << 10;

/// How badly a call that returns to `returns_to` fits the function that is at
/// `pc`: on a stack there are also addresses that others have returned to.
/// Least for one that calls what begins nearest before `pc`; most for one that
/// calls something else.
pub(super) fn misfit(returns_to: u64, pc: u64) -> u64 {
    match call_target(returns_to).map(|target| pc.checked_sub(target)) {
        Some(Some(within)) if within < FUNCTION_MAX => within,
        // Through a register: it may be.
        None => FUNCTION_MAX,
        Some(_) => FUNCTION_MAX + 1,
    }
}

/// What the call before an address calls, if that can be told.
#[cfg(target_arch = "x86_64")]
fn call_target(returns_to: u64) -> Option<u64> {
    let call = memory::bytes(returns_to.wrapping_sub(6), 6)?;
    let offset = i32::from_le_bytes(call[2..].try_into().ok()?);
    let target = returns_to.wrapping_add_signed(offset.into());
    match call[..2] {
        // `call` through an address in memory that is relative to here.
        [0xff, 0x15] => {
            let target = memory::bytes(target, size_of::<u64>())?;
            Some(u64::from_le_bytes(target.try_into().ok()?))
        }
        [_, 0xe8] => Some(target),
        _ => None,
    }
}

/// As above: `bl`.
#[cfg(not(target_arch = "x86_64"))]
fn call_target(returns_to: u64) -> Option<u64> {
    let call = memory::bytes(returns_to.wrapping_sub(4), 4)?;
    let bits = u32::from_le_bytes(call.try_into().ok()?);
    let offset = i64::from((bits << 6) as i32 >> 4);
    (bits >> 26 == 0b10_0101).then(|| returns_to.wrapping_sub(4).wrapping_add_signed(offset))
}

/// Whether what is before an address can be a call, to which one returns there.
#[cfg(target_arch = "x86_64")]
fn follows_a_call(address: u64) -> bool {
    /// The longest call through a pointer.
    const BEFORE: usize = 7;
    let before = memory::bytes(address.wrapping_sub(BEFORE as u64), BEFORE);
    before.is_some_and(|before| {
        let is_direct = before[BEFORE - 5] == 0xe8;
        // `ff /2`, with 2 to 7 bytes in all.
        let is_indirect = |pair: &[u8]| pair[0] == 0xff && pair[1] >> 3 & 7 == 2;
        is_direct || before.windows(2).any(is_indirect)
    })
}

/// As above: `bl` and `blr`.
#[cfg(not(target_arch = "x86_64"))]
fn follows_a_call(address: u64) -> bool {
    let before = memory::bytes(address.wrapping_sub(4), 4);
    let instruction = before.and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)));
    instruction.is_some_and(|bits| bits >> 26 == 0b10_0101 || bits & !0x3e0 == 0xd63f_0000)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::{FUNCTION_MAX, follows_a_call, frame_pointers, misfit};
    use crate::stack::{RawStack, Registers};

    #[test]
    fn what_a_function_returns_to_follows_a_call_and_its_beginning_does_not() {
        let mut frames = Vec::new();
        backtrace::trace(|frame| {
            frames.push((frame.ip() as u64, frame.symbol_address() as u64));
            true
        });
        // The first two may be `backtrace`'s own, which knows where it is.
        for (index, &(address, _)) in frames.iter().enumerate().skip(2) {
            let is_outermost = index + 1 == frames.len();
            assert!(is_outermost || follows_a_call(address), "{index}");
        }
        assert!(!follows_a_call(black_box(16)));
    }

    #[test]
    fn a_call_fits_what_it_calls_and_nothing_else() {
        let mut frames = Vec::new();
        backtrace::trace(|frame| {
            frames.push(frame.ip() as u64);
            true
        });
        let fits = |pair: &[u64]| misfit(pair[1], pair[0]) < FUNCTION_MAX;
        let pair = frames.windows(2).find(|pair| fits(pair));
        let &[callee, caller] = pair.expect("some are called directly") else {
            unreachable!("a window of two");
        };
        for other in [callee + FUNCTION_MAX, callee - FUNCTION_MAX] {
            assert_eq!(misfit(caller, other), FUNCTION_MAX + 1);
        }
    }

    #[test]
    fn guesses_begin_where_the_function_does() {
        let mut returns_to = 0;
        backtrace::trace(|frame| {
            returns_to = frame.ip() as u64;
            !follows_a_call(returns_to)
        });
        let raw = RawStack {
            registers: Registers {
                sp: 0x1000,
                ..Registers::default()
            },
            words: [1, returns_to, 2, returns_to, returns_to, 3].into(),
            is_cut: false,
        };
        let all: Vec<u64> = frame_pointers(&raw, 0, |_| true).collect();
        assert_eq!(all, [0x1000, 0x1010, 0x1018]);
        let outer: Vec<u64> = frame_pointers(&raw, 0x1008, |_| true).collect();
        assert_eq!(outer, [0x1010, 0x1018]);
        assert_eq!(frame_pointers(&raw, 0, |_| false).count(), 0);
    }
}
