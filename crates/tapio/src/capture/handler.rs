//! The signal handler, and what belongs to it: installing it, and passing on
//! what is not ours.
//!
//! # What the handler may do
//! It interrupts any code at any instruction: a thread that is in the
//! allocator, holds a lock, or is in the middle of another handler. So it
//! calls nothing but the kernel, takes no lock, allocates nothing, touches no
//! thread local but `errno`, which it puts back, and needs little stack, since
//! it runs on the alternate one where there is one (`SA_ONSTACK`).

#![expect(unsafe_code, reason = "a signal handler")]

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use tapio_driver::PerProcess;
use tapio_driver::lock::Mutex;

use super::exchange::Exchange;
use super::no_stack::NoStack;
use super::registers;
use super::signals::{self, SIGNALS_MAX};
use super::slots::{self, SLOTS};
use crate::stack::{RawStack, Registers, memory};

/// How much of a stack is copied: its innermost part, far more than what
/// leads from a poll to where it is stuck.
pub(super) const COPY_WORDS_MAX: usize = (128 << 10) / size_of::<u64>();

/// What a handler copies.
pub(super) struct Copied {
    registers: Registers,
    words: Box<[u64]>,
    /// How many of them were copied.
    count: usize,
    /// Whether the stack goes on after them.
    is_cut: bool,
    /// Why nothing was.
    error: Option<i32>,
}

pub(super) type Exchanges = [Exchange<Copied>; SLOTS];

/// Made with the first handler, and never freed: a handler may come late.
static EXCHANGES: PerProcess<Exchanges> =
    PerProcess::new(|_| [(); SLOTS].map(|()| Exchange::new(Copied::new())));

/// For each signal with our handler, what was there before.
static PREVIOUS: [AtomicPtr<libc::sigaction>; SIGNALS_MAX + 1] =
    [const { AtomicPtr::new(ptr::null_mut()) }; SIGNALS_MAX + 1];

/// A handler, as the kernel calls it.
type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Has `signal` copy the stack of the thread that gets it, when we send it.
///
/// It stays for as long as the program runs. A program that has set a handler
/// of its own since then keeps it: putting ours on top again could make two
/// handlers that pass everything on to each other.
pub(crate) fn install(signal: i32) -> io::Result<()> {
    static INSTALLING: PerProcess<Mutex<()>> = PerProcess::new(|_| Mutex::default());

    signals::check(signal)?;
    if !registers::IS_SUPPORTED {
        return Ok(());
    }
    // Before the handler: it makes nothing.
    let _ = EXCHANGES.get();
    slots::make_room();
    let _installing = INSTALLING.lock();
    let previous = &PREVIOUS[signal as usize];
    // Relaxed: the lock orders it.
    if !previous.load(Ordering::Relaxed).is_null() {
        return Ok(());
    }
    let before = action_of(signal)?;
    // Release: pairs with `pass_on`. Before our handler is there, so that it
    // always finds whom to pass on to.
    previous.store(Box::into_raw(Box::new(before)), Ordering::Release);
    // SAFETY: a value for which all zeroes are one.
    let mut ours: libc::sigaction = unsafe { mem::zeroed() };
    ours.sa_sigaction = on_signal as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // What the other handler does not want to be interrupted by.
    ours.sa_mask = before.sa_mask;
    // SAFETY: both point to what they should; the handler does no more than
    // handlers may.
    if unsafe { libc::sigaction(signal, &raw const ours, ptr::null_mut()) } != 0 {
        let error = io::Error::last_os_error();
        let before = previous.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: from the box above; no handler of ours was there to read it.
        drop(unsafe { Box::from_raw(before) });
        return Err(error);
    }
    Ok(())
}

/// `None` where no handler can be.
pub(super) fn exchanges() -> Option<&'static Exchanges> {
    EXCHANGES.get_made()
}

/// Whether the handler of `signal` is ours.
pub(super) fn is_ours(signal: i32) -> bool {
    action_of(signal).is_ok_and(|action| action.sa_sigaction == on_signal as *const () as usize)
}

fn action_of(signal: i32) -> io::Result<libc::sigaction> {
    // SAFETY: a value for which all zeroes are one.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: changes nothing, and writes what it should.
    match unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) } {
        0 => Ok(action),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What our signals carry, and no other: an address that is nobody else's.
pub(super) fn mark() -> *mut c_void {
    (&raw const EXCHANGES).cast_mut().cast()
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: this thread's own; nobody else is at it while we are here.
    let errno = unsafe { &mut *libc::__errno_location() };
    let before = *errno;
    // SAFETY: the kernel gives a handler with `SA_SIGINFO` both.
    unsafe {
        if is_from_us(&*info) {
            answer(&*context.cast());
        } else {
            pass_on(signal, info, context);
        }
    }
    *errno = before;
}

fn is_from_us(info: &libc::siginfo_t) -> bool {
    // SAFETY: a signal with this code has a value.
    info.si_code == libc::SI_TIMER && unsafe { info.si_value().sival_ptr } == mark()
}

/// Copies this thread's stack, if that is what is still wanted.
fn answer(context: &libc::ucontext_t) {
    // SAFETY: asks for a number.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    // Whichever request it was sent for: one that waits for this thread is
    // answered. A second signal while one is pending is not delivered at all.
    let mut exchanges = exchanges().into_iter().flatten();
    let Some((claim, stack)) = exchanges.find_map(|exchange| exchange.claim(tid)) else {
        return;
    };
    claim.done(|copied| {
        copied.registers = registers::read(context);
        copied.fill(stack);
    });
}

impl Copied {
    fn new() -> Copied {
        Copied {
            registers: Registers::default(),
            words: vec![0; COPY_WORDS_MAX].into_boxed_slice(),
            count: 0,
            is_cut: false,
            error: None,
        }
    }

    /// Copies this thread's stack from the stack pointer on. `stack` is the
    /// thread's own; the pointer may be elsewhere, in a coroutine's.
    fn fill(&mut self, (low, high): (usize, usize)) {
        let from = self.registers.sp as usize;
        let word = size_of::<u64>();
        (self.count, self.error) = (0, None);
        if !(low..high).contains(&from) || !from.is_multiple_of(word) {
            // Nobody knows where it ends: the kernel copies up to there.
            match memory::read(from as u64, &mut self.words) {
                Ok(count) => self.count = count,
                Err(errno) => self.error = Some(errno),
            }
            self.is_cut = self.count == COPY_WORDS_MAX;
            return;
        }
        let all = (high - from) / word;
        self.count = all.min(COPY_WORDS_MAX);
        self.is_cut = all > COPY_WORDS_MAX;
        let stack = from as *const u64;
        for (index, word) in self.words[..self.count].iter_mut().enumerate() {
            // SAFETY: this thread's stack from its innermost frame to its end
            // is there while the thread is. Other threads may write to what
            // they borrow from it, so each word is read once and as it is.
            *word = unsafe { stack.add(index).read_volatile() };
        }
    }

    pub(super) fn to_stack(&self) -> Result<RawStack, NoStack> {
        match self.error {
            Some(errno) => Err(NoStack::Unreadable(io::Error::from_raw_os_error(errno))),
            None => Ok(RawStack {
                registers: self.registers,
                words: self.words[..self.count].into(),
                is_cut: self.is_cut,
            }),
        }
    }
}

/// A signal that somebody else sent: what would have happened without us.
///
/// # Safety
/// As the kernel calls a handler.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // Acquire: pairs with the store in `install`.
    // SAFETY: from a box that is not freed while our handler is there.
    let previous = unsafe { PREVIOUS[signal as usize].load(Ordering::Acquire).as_ref() };
    let Some(previous) = previous else {
        return;
    };
    match previous.sa_sigaction {
        libc::SIG_IGN => {}
        libc::SIG_DFL => {
            if signals::ends_the_process(signal) {
                // SAFETY: these calls are allowed in handlers. The signal is
                // blocked until we return, and then does what it does by
                // default; the exit status is the right one.
                unsafe {
                    libc::signal(signal, libc::SIG_DFL);
                    libc::raise(signal);
                }
            }
        }
        address if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: with that flag, the address of such a function.
            let handler = unsafe { mem::transmute::<usize, Handler>(address) };
            handler(signal, info, context);
        }
        address => {
            // SAFETY: without that flag, the address of such a function.
            let handler = unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(address) };
            handler(signal);
        }
    }
}

#[cfg(all(test, not(tapio_model)))]
mod tests {
    use super::{COPY_WORDS_MAX, Copied};

    fn copy(words: &[u64], stack: (usize, usize)) -> Copied {
        let mut copied = Copied::new();
        copied.registers.sp = words.as_ptr().addr() as u64;
        copied.fill(stack);
        copied
    }

    fn range(words: &[u64]) -> (usize, usize) {
        let range = words.as_ptr_range();
        (range.start.addr(), range.end.addr())
    }

    #[test]
    fn a_stack_is_copied_to_its_end_or_as_far_as_there_is_room() {
        let words: Vec<u64> = (0..COPY_WORDS_MAX as u64 + 7).collect();
        let short = &words[..5];
        let whole = copy(short, range(short));
        assert_eq!((&whole.words[..whole.count], whole.is_cut), (short, false));
        let cut = copy(&words, range(&words));
        assert_eq!(cut.words[..], words[..COPY_WORDS_MAX]);
        assert!(cut.is_cut);
    }

    #[test]
    fn a_stack_that_is_not_the_threads_own_is_copied_too_if_it_can_be_read() {
        let words: Vec<u64> = (0..COPY_WORDS_MAX as u64 + 7).collect();
        for elsewhere in [(0, 0), (8, 16)] {
            let copied = copy(&words, elsewhere);
            assert_eq!(copied.words[..], words[..COPY_WORDS_MAX]);
            assert!(copied.to_stack().is_ok());
        }
        let mut nowhere = Copied::new();
        nowhere.registers.sp = 16;
        nowhere.fill((0, 0));
        let error = nowhere
            .to_stack()
            .expect_err("there is nothing")
            .to_string();
        assert!(error.contains("Bad address"), "{error}");
        // The next one is not taken for it.
        nowhere.registers.sp = words.as_ptr().addr() as u64;
        nowhere.fill(range(&words));
        assert!(nowhere.to_stack().is_ok());
    }
}
