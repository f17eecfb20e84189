//! Copying the stack of a thread that does not come back.
//!
//! A thread that waits in the kernel has its stack read from outside, and
//! learns nothing of it (`blocked`). One that computes is sent a signal, whose
//! handler copies the registers and a slice of the stack into memory that was
//! there before, and that is all that happens on the stuck thread. Which frames
//! that makes, and what they are called, is found out later and elsewhere
//! (`stack`).
//!
//! What the interrupted code sees of it: nothing. A signal that comes while a
//! thread is in a system call has many calls end early, with `EINTR` or with
//! less done than was asked, whatever `SA_RESTART` says (`signal(7)`); and
//! whether a thread is in one can be asked, but may have changed before the
//! signal arrives. So it is not sent by the guard: a timer that runs by the
//! thread's own CPU clock sends it, from the tick that finds the thread on a
//! CPU. The kernel (Linux 5.9 on x86-64, 5.16 on arm64) does so when the thread
//! next returns to user space: a call that the tick fell into has come to its
//! end by then. The price is the wait for a tick, 1 to 10 ms. Older kernels
//! send it from the tick itself, so that a call which begins to wait in just
//! that microsecond may see it; and so may `io_uring_enter`, which does what is
//! due before a return to user space on its own.
//!
//! Who may write and who may read is settled by one word (`exchange`): a
//! handler that comes when nobody waits for it any more does nothing.
//!
//! Reading order: `exchange`, `slots`, `handler`, `timer`, `blocked`,
//! `signals`, `registers`, `target`.

mod blocked;
mod exchange;
mod handler;
#[cfg(all(test, tapio_model))]
mod model;
mod no_stack;
mod registers;
mod signals;
mod slots;
mod target;
mod timer;

pub(crate) use self::blocked::copy_blocked;
pub(crate) use self::handler::install;
pub(crate) use self::no_stack::NoStack;
pub(crate) use self::signals::DEFAULT_SIGNAL;
pub(crate) use self::target::Target;
pub(crate) use crate::stack::RawStack;

use self::handler::Copied;
use self::slots::Slot;
use self::timer::CpuTimer;
use crate::thread_state::is_blocked;

/// A thread that computes was asked to copy its stack; dropping this takes the
/// request back.
#[derive(Debug)]
pub(crate) struct Request {
    slot: Slot,
    _timer: CpuTimer,
}

impl Request {
    /// Asks a thread to copy its stack the next time that it is found on a CPU
    /// and not in a system call. Waits for nothing.
    pub(crate) fn new(target: &Target, signal: i32) -> Result<Request, NoStack> {
        if !handler::is_ours(signal) {
            return Err(NoStack::HandlerReplaced(signal));
        }
        if is_blocked(target.tid(), signal) {
            return Err(if target.always_blocks(signal) {
                NoStack::SignalBlocked(signal)
            } else {
                NoStack::SignalBlockedNow(signal)
            });
        }
        let slot = Slot::request(target.tid(), target.stack())?;
        let timer = CpuTimer::start(target.tid(), signal, handler::mark())?;
        Ok(Request {
            slot,
            _timer: timer,
        })
    }

    /// The copy, once it is there.
    pub(crate) fn answer(self) -> Result<Result<RawStack, NoStack>, Request> {
        let exchange = self.slot.exchange();
        if exchange.is_done() {
            Ok(exchange.collect(Copied::to_stack))
        } else {
            Err(self)
        }
    }
}

#[cfg(all(test, not(tapio_model)))]
mod tests {
    use std::hint::black_box;
    use std::io::{PipeReader, Read};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::{DEFAULT_SIGNAL, NoStack, RawStack, Request, Target, copy_blocked, install};
    use crate::thread_state::{ThreadState, state_of};

    /// Asks until the thread answers.
    fn copy(target: &Target) -> Result<RawStack, NoStack> {
        loop {
            let mut asked = match Request::new(target, DEFAULT_SIGNAL) {
                Ok(asked) => asked,
                // Other tests ask as well.
                Err(NoStack::Busy) => {
                    thread::yield_now();
                    continue;
                }
                Err(why) => return Err(why),
            };
            loop {
                match asked.answer() {
                    Ok(copied) => return copied,
                    Err(not_yet) => asked = not_yet,
                }
                thread::yield_now();
            }
        }
    }

    fn names(raw: &RawStack) -> Vec<String> {
        let stack = raw.resolve();
        // To the very end of the stack, past the thread's first function.
        assert!(!stack.to_string().contains("missing"), "{stack}");
        let frames = stack.frames().iter();
        frames.filter_map(|frame| frame.function.clone()).collect()
    }

    #[test]
    fn threads_are_copied_at_the_same_time_until_they_end() {
        install(DEFAULT_SIGNAL).expect("it may be");
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..3)
            .map(|index| {
                let (sender, receiver) = mpsc::channel();
                let seen = Arc::clone(&stop);
                let thread = thread::spawn(move || {
                    sender.send(Target::this_thread()).expect("the test waits");
                    while !seen.load(Ordering::Relaxed) {
                        drop(black_box(vec![index; 100]));
                    }
                });
                (thread, receiver.recv().expect("it begins"))
            })
            .collect();
        for _ in 0..10 {
            // Now and then nobody waits for the answer.
            for (_, target) in &threads {
                drop(Request::new(target, DEFAULT_SIGNAL));
            }
            for (_, target) in &threads {
                let raw = copy(target).expect("it computes");
                let (low, high) = target.stack();
                assert!((low..high).contains(&(raw.registers.sp as usize)));
                let left = (high - raw.registers.sp as usize) / 8;
                assert_eq!(raw.words.len(), left.min(128 << 7));
            }
        }
        let (_, last) = &threads[0];
        stop.store(true, Ordering::Relaxed);
        let gone = *last;
        for (thread, _) in threads {
            thread.join().expect("nothing disturbed it");
        }
        let error = copy(&gone).expect_err("it has ended");
        assert!(matches!(error, NoStack::Gone), "{error}");
    }

    #[test]
    fn what_was_copied_names_the_function_that_was_interrupted() {
        #[inline(never)]
        fn is_interrupted(sender: &mpsc::Sender<Target>, stop: &AtomicBool) {
            sender.send(Target::this_thread()).expect("the test waits");
            while !black_box(stop.load(Ordering::Relaxed)) {}
        }
        install(DEFAULT_SIGNAL).expect("it may be");
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || is_interrupted(&sender, &seen));
        let target = receiver.recv().expect("it begins");
        let is_there = || {
            let raw = copy(&target).expect("it can be");
            let names = names(&raw);
            names.iter().any(|name| name.contains("is_interrupted"))
        };
        assert!((0..100).any(|_| is_there()));
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("nothing disturbed it");
    }

    /// With what functions do that store no frame pointer, need theirs, or
    /// have more on the stack than is copied.
    #[test]
    fn the_stack_of_a_thread_that_waits_is_read_from_outside() {
        #[repr(align(256))]
        struct Aligned([u8; 256]);

        #[inline(never)]
        fn waits_aligned(sender: &mpsc::Sender<Target>, pipe: &mut PipeReader) -> u8 {
            let mut room = black_box(Aligned([0; 256]));
            sender.send(Target::this_thread()).expect("the test waits");
            let _ = pipe.read(&mut room.0);
            black_box(&room).0[0]
        }

        #[inline(never)]
        fn waits_deep(sender: &mpsc::Sender<Target>, pipe: &mut PipeReader) -> u8 {
            let room = black_box([1_u8; 200 << 10]);
            waits_aligned(sender, pipe) + black_box(room)[7]
        }

        type Waits = fn(&mpsc::Sender<Target>, &mut PipeReader) -> u8;
        let ways: [(Waits, bool); 2] = [(waits_aligned, false), (waits_deep, true)];
        for (waits, is_deep) in ways {
            let (mut reader, writer) = std::io::pipe().expect("a pipe");
            let (sender, receiver) = mpsc::channel();
            let thread = thread::spawn(move || waits(&sender, &mut reader));
            let target = receiver.recv().expect("it begins");
            let raw = loop {
                if let ThreadState::Blocked(Ok(wait)) = state_of(target.tid())
                    && wait.syscall.is_some_and(|call| call.name() == Some("read"))
                {
                    break copy_blocked(&target, &wait).expect("it waits there");
                }
                thread::yield_now();
            };
            let stack = raw.resolve();
            let mut frames = stack.frames().iter();
            let is_there = frames.any(|frame| {
                let name = frame.function.as_deref();
                name.is_some_and(|name| name.contains("waits_aligned"))
            });
            assert!(is_there, "{stack}");
            let text = stack.to_string();
            assert_eq!(
                text.contains("only the innermost 128 KiB"),
                is_deep,
                "{text}"
            );
            assert_eq!(text.contains("missing"), is_deep, "{text}");
            drop(writer);
            thread.join().expect("nothing disturbed it");
        }
    }
}
