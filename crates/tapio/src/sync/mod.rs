//! Locks, channels and other ways for tasks to meet.
//!
//! The channels, [`Notify`], [`Barrier`], [`OnceCell`] and their like are
//! tokio's own, which need no runtime. They spend nothing of the cooperative
//! budget: a task that loops over a channel that is never empty, and does
//! nothing else, should call [`consume_budget`](crate::task::consume_budget)
//! now and then.
//!
//! [`Mutex`], [`RwLock`] and [`Semaphore`] queue and wake with tokio's
//! semaphore, behave like tokio's, and know who holds them and who waits, with
//! the line of each `lock().await`. What follows from that is reported, through
//! [`guard::on_report`](crate::guard::on_report) and the log.
//!
//! # Deadlocks
//! Tasks that wait for one another in a circle are reported once, when the
//! circle closes, with every task, lock and line
//! ([`Deadlock`](crate::guard::Deadlock)). So is a task that waits for what it
//! holds itself, and a reader that waits behind a writer that waits for that
//! same reader. Futures in `block_on`, and threads in `blocking_lock` and its
//! like, take part. One that waits for a permit of a semaphore is stuck only
//! if every holder is.
//!
//! A circle is told at once if it is a deadlock beyond doubt: the locks are all
//! that can wake anybody in it. While something else can, it is told when it
//! has lasted for the lock budget, counted from the last time that one of its
//! locks was given to anybody, and the report says what may still end it:
//! - a timeout, or another branch of `select!` or `join!`, has a waker of one
//!   of the parties, or somebody has a task's `AbortHandle`; or one of them is
//!   polled by another executor, of which nothing is known;
//! - one of the holds is that of an owned guard, which may have been given to
//!   another task;
//! - one of the locks is a semaphore, to which somebody may add permits.
//!
//! So a circle that a timeout resolves is reported if the timeout is longer
//! than the budget. What looks the same in a program that is in order is not
//! told as a deadlock, however long it lasts:
//! - one party that seems to wait for itself while something else may wake it,
//!   or that holds by an owned guard: another branch of it may have the lock,
//!   or another task the guard. The report on a lock that is held for long says
//!   that its holder waits for it as well;
//! - a party that waits for several locks at once, or whose lock is polled by
//!   something like `FuturesUnordered`, while something else may wake it;
//! - owned permits of a semaphore, which are there to be given away.
//!
//! Two tasks which both have a branch that holds a lock for longer than the
//! budget and a branch that waits for the other's are told, with the words that
//! another branch may end it: from outside they look like two that wait under a
//! timeout.
//!
//! A guard of a lock in a `static` can be given to another task although it is
//! not an owned one; that is not accounted for. Futures that another executor
//! polls are known by their wakers alone.
//!
//! # Futurelocks
//! A lock goes to whoever is first in line. If that is a future that its task
//! does not poll any more, but keeps, as one that was polled by `select!` by
//! reference, nobody has the lock and nobody gets it. That is reported when it
//! has lasted for the budget ([`Futurelock`](crate::guard::Futurelock)).
//!
//! # Locks held for long
//! A lock that has been held for longer than the budget while others wait is
//! reported, once while that lasts and once when it is over
//! ([`LockHeld`](crate::guard::LockHeld),
//! [`LockReleased`](crate::guard::LockReleased)), for one lock and line once in
//! ten seconds. A lock held for hours that nobody asks for costs nobody
//! anything and is not reported; nor is a semaphore of several permits, which
//! is there to be held while others wait.
//!
//! The budget is one second;
//! [`guard::set_lock_budget`](crate::guard::set_lock_budget) or
//! `TAPIO_LOCK_MS` changes it. What needs time to be seen is seen by the
//! guard's thread, so only while there is a runtime.
//!
//! # Names
//! [`Mutex::named`], [`RwLock::named`] and [`Semaphore::named`] give a lock a
//! name for reports; without one it is known by the line that made it.
//
// Reading order: `raw` is a lock without its value, `ledger` knows its holders
// and `wait` its waiters; `graph` is all waiters of the process, and finds what
// is wrong with them. `actor` says who is who, `say` tells listeners, `budget`
// and `stats` are what they say. `mutex`, `rwlock` and `semaphore` are the
// types that users see, with `guards` what all guards have in common.

mod actor;
mod budget;
mod graph;
mod guards;
mod ledger;
mod mutex;
mod raw;
mod rwlock;
mod say;
mod semaphore;
mod stats;
mod wait;

pub use tokio::sync::{
    AcquireError, Barrier, BarrierWaitResult, Notify, OnceCell, SetError, SetOnce, SetOnceError,
    TryAcquireError, broadcast, futures, mpsc, oneshot, watch,
};

pub use self::mutex::{
    MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard, TryLockError,
};
pub use self::rwlock::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
pub use self::semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

#[allow(unused_imports, reason = "for the advisor")]
pub(crate) use self::stats::{WaitStat, wait_stats};
