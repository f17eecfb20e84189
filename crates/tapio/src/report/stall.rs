//! A poll that takes too long.

use std::fmt;
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
}

/// A stall that was reported is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StallEnded {
    /// Whose code it was.
    pub culprit: Culprit,
    /// How long it went on.
    pub lasted: Duration,
    /// What the thread is to the runtime.
    pub role: String,
    /// The innermost place in the user's code, as `file:line`, if known.
    pub place: Option<String>,
}

/// Whose code keeps a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Culprit {
    /// A task.
    Task(TaskInfo),
    /// The future given to the `block_on` that was called here.
    BlockOn(&'static Location<'static>),
    /// A waker that is not a task's.
    Waker,
    /// A function given to the runtime's builder, as `on_thread_park`.
    Hook,
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

    /// Names a call that the kernel only says it has restarted, by the
    /// function of the C library that makes it.
    pub(crate) fn named_by(self, stack: Option<&Stack>) -> StallCause {
        match self {
            StallCause::Blocked(Some(call)) if call.is_restarted() => {
                let mut inside = stack.into_iter().flat_map(Stack::inside);
                let named = inside.find_map(|frame| {
                    let function = frame.function.as_deref()?;
                    Syscall::of_function(function)
                });
                StallCause::Blocked(Some(named.unwrap_or(call)))
            }
            other => other,
        }
    }
}

impl Culprit {
    pub(crate) fn new(running: Running, task: u64) -> Culprit {
        match (running.location(), Id::from_raw(task)) {
            (Some(at), Some(id)) if !running.is_block_on() => Culprit::Task(TaskInfo::new(id, at)),
            (Some(at), _) => Culprit::BlockOn(at),
            (None, _) if running == Running::HOOK => Culprit::Hook,
            (None, _) => Culprit::Waker,
        }
    }

    /// Where it was spawned or blocked on.
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        match self {
            Culprit::Task(task) => Some(task.spawned_at),
            Culprit::BlockOn(at) => Some(at),
            Culprit::Waker | Culprit::Hook => None,
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

    /// The innermost place in the user's code, as `file:line`.
    fn place(&self) -> Option<String> {
        self.stack.as_ref()?.top_user_frame()?.place()
    }

    fn help(&self) -> &'static str {
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
            place: stall.place(),
            culprit: stall.culprit,
            lasted,
            role: stall.role,
        }
    }
}

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Culprit::Task(task) => task.fmt(f),
            Culprit::BlockOn(at) => write!(f, "the future given to block_on at {at}"),
            Culprit::Waker => f.write_str("a waker that is no task's"),
            Culprit::Hook => f.write_str("a function given to the runtime's builder"),
        }
    }
}

impl fmt::Display for StallCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StallCause::Computing => f.write_str("computing"),
            StallCause::Blocked(Some(call)) => write!(f, "blocked in the system call {call}"),
            StallCause::Blocked(None) => f.write_str("blocked in the kernel"),
            StallCause::NotRunning => f.write_str("without using a CPU"),
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.repeats > 0 {
            return write!(
                f,
                "stall: {} more at the same place{}, the longest of {} ms, the last by {}",
                self.repeats,
                Place(self.place()),
                self.lasted.as_millis(),
                self.culprit,
            );
        }
        let start = if self.was_reported {
            "stall goes on"
        } else {
            "stall"
        };
        write!(f, "{start}: {} has kept {}", self.culprit, self.role)?;
        if let Some(runtime) = &self.runtime {
            write!(f, " of runtime {runtime:?}")?;
        }
        write!(f, " for {} ms, ", self.lasted.as_millis())?;
        if self.is_unchanged {
            f.write_str("still ")?;
        }
        write!(f, "{}", self.cause)?;
        if self.cpu >= Duration::from_millis(1) {
            write!(f, " ({} ms on a CPU)", self.cpu.as_millis())?;
        }
        let circle = self.std_lock.as_ref().filter(|it| !it.circle.is_empty());
        if self.is_unchanged && circle.is_none() {
            return write!(f, "{}", Place(self.place()));
        }
        writeln!(f)?;
        if let Some(circle) = circle {
            writeln!(f, "  {circle}")?;
        }
        match (&self.stack, &self.no_stack) {
            (Some(stack), _) => writeln!(f, "{stack}")?,
            (None, Some(why)) => writeln!(f, "  its stack is not known: {why}")?,
            (None, None) => {}
        }
        match &self.rescue {
            Rescue::Done => {
                writeln!(
                    f,
                    "  rescued: another thread goes on with the other tasks there"
                )?;
            }
            Rescue::NotNeeded => {}
            Rescue::Off => writeln!(
                f,
                "  not rescued: this runtime has one thread by choice (`Builder::rescue`)"
            )?,
            Rescue::Failed(why) => writeln!(f, "  not rescued: {why}")?,
        }
        if !self.pinned.is_empty() {
            let count: usize = self.pinned.iter().map(|(_, count)| count).sum();
            write!(f, "  pinned to this thread, so waiting: {count} tasks")?;
            for (at, count) in &self.pinned {
                write!(f, ", {count} spawned at {at}")?;
            }
            writeln!(f)?;
        }
        write!(f, "  help: {}", self.help())
    }
}

impl fmt::Display for StallEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "stall over after {} ms: {} on {}{}",
            self.lasted.as_millis(),
            self.culprit,
            self.role,
            Place(self.place.clone()),
        )
    }
}

struct Place(Option<String>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}
