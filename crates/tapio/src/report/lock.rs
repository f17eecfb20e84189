//! Locks that are never got, or late.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::TaskInfo;

/// A lock of [`sync`](crate::sync).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LockInfo {
    /// What it is.
    pub kind: LockKind,
    /// What [`Mutex::named`](crate::sync::Mutex::named) and its like called
    /// it.
    pub name: Option<Arc<str>>,
    /// Where it was made.
    pub made_at: &'static Location<'static>,
}

/// The kinds of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LockKind {
    /// [`sync::Mutex`](crate::sync::Mutex).
    Mutex,
    /// [`sync::RwLock`](crate::sync::RwLock).
    RwLock,
    /// [`sync::Semaphore`](crate::sync::Semaphore).
    Semaphore,
}

/// Who holds a lock or waits for one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockUser {
    /// A task.
    Task(TaskInfo),
    /// The future given to the `block_on` that was called here.
    BlockOn(&'static Location<'static>),
    /// A thread that blocks, by its name if that is known.
    Thread(Option<Arc<str>>),
    /// A future that another executor polls.
    Foreign,
}

/// One lock that somebody holds or waits for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockUse {
    /// The lock.
    pub lock: LockInfo,
    /// The line that got it, or that waits for it.
    pub at: &'static Location<'static>,
    /// For a wait: who stands before it in line, with the line that it waits
    /// at, if it waits for them and not for the lock's holders alone. A reader
    /// waits for the writers before it.
    pub behind: Vec<(LockUser, &'static Location<'static>)>,
}

/// A lock was given to a future that nobody polls, so that nobody has it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Futurelock {
    /// The lock.
    pub lock: LockInfo,
    /// Whose the future is.
    pub user: LockUser,
    /// The line that asked for the lock.
    pub at: &'static Location<'static>,
    /// For how long the lock has been its.
    pub lasted: Duration,
    /// Who waits behind it, and where: the first of them.
    pub behind: Vec<(LockUser, &'static Location<'static>)>,
    /// How many wait behind it.
    pub behind_count: usize,
}

/// Somebody has held a lock for longer than the budget while others wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockHeld {
    /// The lock.
    pub lock: LockInfo,
    /// Who got it, and has it unless the guard was given away.
    pub holder: LockUser,
    /// The line that got it.
    pub at: &'static Location<'static>,
    /// For how long others have waited meanwhile.
    pub lasted: Duration,
    /// Who waits, and where: the first of them.
    pub waiters: Vec<(LockUser, &'static Location<'static>)>,
    /// How many wait.
    pub waiters_count: usize,
    /// The holder waits for the lock itself. Unless another branch of it
    /// releases the lock, or whoever its guard was given to, that is a
    /// deadlock.
    pub is_waited_for_by_holder: bool,
    /// The guard is an owned one: it may have been given to somebody else.
    pub may_be_elsewhere: bool,
}

/// What [`LockHeld`] told of is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LockReleased {
    /// The lock.
    pub lock: LockInfo,
    /// Who had it.
    pub holder: LockUser,
    /// The line that had got it.
    pub at: &'static Location<'static>,
    /// For how long others waited.
    pub lasted: Duration,
    /// Whether it was released; if not, those who waited gave up.
    pub is_released: bool,
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LockKind::Mutex => "Mutex",
            LockKind::RwLock => "RwLock",
            LockKind::Semaphore => "Semaphore",
        })
    }
}

impl fmt::Display for LockInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        write!(f, " made at {}", self.made_at)
    }
}

impl fmt::Display for LockUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockUser::Task(task) => task.fmt(f),
            LockUser::BlockOn(at) => write!(f, "the future given to block_on at {at}"),
            LockUser::Thread(Some(name)) => write!(f, "thread {name:?}"),
            LockUser::Thread(None) => f.write_str("a thread"),
            LockUser::Foreign => f.write_str("a future of another executor"),
        }
    }
}

impl fmt::Display for Futurelock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "futurelock: {} has been given to a future that nobody has polled for {} ms",
            self.lock,
            self.lasted.as_millis(),
        )?;
        writeln!(f, "  {} asked for it at {}", self.user, self.at)?;
        list(f, "waits behind it", self.behind_count, &self.behind)?;
        f.write_str(
            "  help: poll a future that has asked for a lock until it has it, or drop it before \
             awaiting something else",
        )
    }
}

impl fmt::Display for LockHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "lock held: {} has been kept from others for {} ms",
            self.lock,
            self.lasted.as_millis(),
        )?;
        writeln!(f, "  held by {}", self.holder)?;
        writeln!(f, "    taken at {}", self.at)?;
        list(f, "waits", self.waiters_count, &self.waiters)?;
        match (self.is_waited_for_by_holder, self.may_be_elsewhere) {
            (true, false) => f.write_str(
                "  the holder waits for it as well: unless another branch of it, or a timeout, \
                 comes to its aid, that is a deadlock\n",
            )?,
            (true, true) => f.write_str(
                "  the holder waits for it as well: unless the guard, an owned one, was given to \
                 somebody else, or another branch comes to its aid, that is a deadlock\n",
            )?,
            (false, true) => {
                f.write_str("  the guard is an owned one, and may have been given to another\n")?;
            }
            (false, false) => {}
        }
        f.write_str(
            "  help: drop the guard before awaiting what takes long, or guard less with one lock",
        )
    }
}

impl fmt::Display for LockReleased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lock {} after {} ms: {}, held by {}, taken at {}",
            if self.is_released {
                "released"
            } else {
                "no longer waited for"
            },
            self.lasted.as_millis(),
            self.lock,
            self.holder,
            self.at,
        )
    }
}

/// Who waits: the first of `count`.
fn list(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    count: usize,
    first: &[(LockUser, &'static Location<'static>)],
) -> fmt::Result {
    for (user, at) in first {
        writeln!(f, "  {what}: {user}, at {at}")?;
    }
    if count > first.len() {
        writeln!(f, "  {what}: {} more", count - first.len())?;
    }
    Ok(())
}
