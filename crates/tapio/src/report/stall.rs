//! A poll that takes too long.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::{StdLock, TaskInfo};
use crate::post::Running;
use crate::stack::Stack;
use crate::task_id::Id;
use crate::thread_state::Syscall;

/// Something has kept a thread of a runtime for longer than the budget.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// Tells it from the others of this process: its end and what is said of
    /// it later have the same number.
    pub number: u64,
    /// Whose code it is.
    pub culprit: Culprit,
    /// What it does.
    pub cause: StallCause,
    /// How long it has gone on.
    pub lasted: Duration,
    /// How much CPU time it has used in that.
    pub cpu: Duration,
    /// Whether it was reported before: one that goes on is reported again, as
    /// it is then, after 1 s, 10 s and 60 s.
    pub was_reported: bool,
    /// Whether it was at the same place then.
    pub(crate) is_unchanged: bool,
    /// The lock of the standard library that it waits for, if it does and has
    /// for a second or longer.
    pub std_lock: Option<StdLock>,
    /// What the thread is to the runtime: `worker 1`, `block_on`.
    pub role: String,
    /// The thread's name.
    pub thread: Option<Arc<str>>,
    /// The runtime's name, if [`Builder::name`](crate::runtime::Builder::name)
    /// gave it one.
    pub runtime: Option<Arc<str>>,
    /// What became of everything else on that thread.
    pub rescue: Rescue,
    /// The tasks that cannot leave the thread, since they are not `Send`, and
    /// so wait: where they were spawned, and how many from there.
    pub pinned: Vec<(&'static Location<'static>, usize)>,
    /// Where the thread is.
    pub stack: Option<Stack>,
    /// Why that is not known.
    pub no_stack: Option<String>,
    /// For how many more stalls at the same place this one report stands.
    pub repeats: u64,
    /// Whether some of those go on.
    pub(crate) is_open: bool,
}

/// A stall that was reported is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StallEnded {
    /// That of the [`Stall`].
    pub number: u64,
    /// Whose code it was.
    pub culprit: Culprit,
    /// How long it went on.
    pub lasted: Duration,
    /// What the thread is to the runtime.
    pub role: String,
    /// The innermost place in the user's code, as `file:line`, if known.
    pub place: Option<String>,
    pub(crate) is_alone: bool,
}

/// Whose code keeps a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Culprit {
    /// A task.
    Task(TaskInfo),
    /// The future given to the `block_on` that was called here.
    BlockOn(&'static Location<'static>),
    /// The callback that was given here.
    Callback(&'static Location<'static>),
    /// A waker that is not a task's.
    Waker,
    /// A function given to the runtime's builder, by the name of the builder's
    /// function: `on_thread_start`, for example.
    Hook(&'static str),
}

/// What a thread does that does not come back.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StallCause {
    /// It uses a CPU.
    Computing,
    /// It waits in the kernel, in this system call if that is known.
    Blocked(Option<Syscall>),
    /// It uses no CPU, and the kernel does not say why not.
    NotRunning,
}

/// What became of everything else on a stuck thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rescue {
    /// Another thread goes on with it.
    Done,
    /// There is nothing else on it.
    NotNeeded,
    /// It waits: the runtime was built without rescue.
    Off,
    /// It waits, for this reason.
    Failed(String),
}

impl StallCause {
    /// Whether `other` says the same of what is done.
    pub(crate) fn is_like(&self, other: &StallCause) -> bool {
        match (self, other) {
            (StallCause::Blocked(one), StallCause::Blocked(other)) => one == other,
            _ => mem::discriminant(self) == mem::discriminant(other),
        }
    }

    /// What the kernel said, made to fit what the stack says.
    pub(crate) fn fitting(self, stack: Option<&Stack>) -> StallCause {
        let (StallCause::Blocked(call), Some(stack)) = (&self, stack) else {
            return self;
        };
        let inside = || stack.inside().filter_map(|frame| frame.function.as_deref());
        match *call {
            // The kernel has restarted a call and no longer says which: the
            // function of the C library that makes it does.
            Some(call) if call.is_restarted() => {
                let named = inside().find_map(Syscall::of_function);
                StallCause::Blocked(Some(named.unwrap_or(call)))
            }
            // To get memory and to give it back is part of computing, also
            // where it waits for another thread that does so.
            Some(call) if call.is_of_memory() => {
                let is_called = stack.calls().filter_map(Syscall::of_function);
                let is_called = is_called.filter(|named| named.is_of_memory());
                if is_called.count() > 0 && !stack.is_allocating() {
                    self
                } else {
                    StallCause::Computing
                }
            }
            None if stack.is_allocating() => StallCause::Computing,
            _ => self,
        }
    }
}

impl Culprit {
    pub(crate) fn new(running: Running, task: u64) -> Culprit {
        match (running.location(), Id::from_raw(task)) {
            (Some(at), _) if running.is_callback() => Culprit::Callback(at),
            (Some(at), Some(id)) if !running.is_block_on() => Culprit::Task(TaskInfo::new(id, at)),
            (Some(at), _) => Culprit::BlockOn(at),
            (None, _) => match running.as_hook() {
                Some(hook) => Culprit::Hook(hook.name()),
                None => Culprit::Waker,
            },
        }
    }

    /// Where it was spawned, blocked on or given.
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        match self {
            Culprit::Task(task) => Some(task.spawned_at),
            Culprit::BlockOn(at) | Culprit::Callback(at) => Some(at),
            Culprit::Waker | Culprit::Hook(_) => None,
        }
    }
}

impl Stall {
    /// Equal for stalls at the same place.
    pub(crate) fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match &self.stack {
            Some(stack) => {
                let is_computing = matches!(self.cause, StallCause::Computing);
                stack.key(is_computing).hash(&mut hasher);
            }
            None => {
                self.culprit.location().hash(&mut hasher);
                mem::discriminant(&self.cause).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Whether nothing waits for the thread: it runs this and nothing else.
    pub(crate) fn is_alone(&self) -> bool {
        self.rescue == Rescue::NotNeeded && self.pinned.is_empty()
    }

    /// The innermost place in the user's code, as `file:line`.
    pub(super) fn place(&self) -> Option<String> {
        self.stack.as_ref()?.top_user_frame()?.place()
    }

    pub(super) fn help(&self) -> &'static str {
        if let Culprit::Hook(_) = self.culprit {
            return "the functions given to the runtime's Builder should return at once: \
                    everything on their thread waits for them";
        }
        if self
            .std_lock
            .as_ref()
            .is_some_and(|it| !it.circle.is_empty())
        {
            return "take locks in the same order everywhere, or hold only one at a time";
        }
        match &self.cause {
            StallCause::Computing => {
                "compute with tapio::cpu::spawn, or give way between steps with \
                 tapio::task::yield_now().await"
            }
            StallCause::Blocked(Some(call)) if call.is_sleep() => {
                "sleep with tapio::time::sleep(..).await"
            }
            StallCause::Blocked(Some(call)) if call.is_lock() => {
                "wait for other threads with tapio::sync, hold std locks for moments only, or \
                 call tapio::task::spawn_blocking"
            }
            StallCause::Blocked(_) | StallCause::NotRunning => {
                "make calls that wait with tapio::task::spawn_blocking, or inside of \
                 tapio::task::block_in_place"
            }
        }
    }
}

impl StallEnded {
    pub(crate) fn new(stall: Stall, lasted: Duration) -> StallEnded {
        StallEnded {
            number: stall.number,
            is_alone: stall.is_alone(),
            place: stall.place(),
            culprit: stall.culprit,
            lasted,
            role: stall.role,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StallCause;
    use crate::stack::{Origin, Stack};
    use crate::thread_state::Syscall;

    fn fitting(call: Option<i64>, frames: &[(&str, Origin)]) -> String {
        let call = call.map(|number| Syscall { number });
        let stack = Stack::of_functions(frames);
        StallCause::Blocked(call).fitting(Some(&stack)).to_string()
    }

    #[test]
    fn to_get_memory_is_to_compute_and_to_map_it_oneself_is_a_call() {
        let mine = ("app::parse", Origin::User);
        let system = |name| (name, Origin::System);
        let calls = [
            (libc::SYS_mprotect, "__mprotect", "malloc"),
            (libc::SYS_brk, "brk", "__libc_calloc"),
            (libc::SYS_munmap, "__munmap", "free"),
            (libc::SYS_madvise, "madvise", "_rjem_je_free"),
            (libc::SYS_mremap, "mremap", "realloc"),
        ];
        for (number, call, allocator) in calls {
            let inside = [system(call), system(allocator), mine];
            assert_eq!(fitting(Some(number), &inside), "computing", "{call}");
            let itself = [system(call), mine];
            let blocked = format!("blocked in the system call {}", Syscall { number });
            assert_eq!(fitting(Some(number), &itself), blocked);
            // The stack was copied when the call was over.
            assert_eq!(fitting(Some(number), &[mine]), "computing", "{call}");
        }
        // By way of a crate that makes system calls.
        let rustix = ("rustix::mm::munmap<u8>", Origin::Dependency);
        let blocked = "blocked in the system call munmap";
        assert_eq!(fitting(Some(libc::SYS_munmap), &[rustix, mine]), blocked);
        // A page that is not there yet; and some other wait in the kernel.
        let fault = [system("__rust_alloc_zeroed"), mine];
        assert_eq!(fitting(None, &fault), "computing");
        assert_eq!(fitting(None, &[mine]), "blocked in the kernel");
        // A lock of the allocator's is one like any other.
        let locked = [system("__lll_lock_wait"), system("malloc"), mine];
        let blocked = "blocked in the system call futex";
        assert_eq!(fitting(Some(libc::SYS_futex), &locked), blocked);
    }

    #[test]
    fn a_call_that_was_restarted_goes_by_the_function_that_made_it() {
        let frames = [
            ("__GI___clock_nanosleep", Origin::System),
            ("app::nap", Origin::User),
        ];
        let text = fitting(Some(libc::SYS_restart_syscall), &frames);
        assert_eq!(text, "blocked in the system call clock_nanosleep");
    }
}
