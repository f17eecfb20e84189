//! Locks, channels and other ways for tasks to meet.
//!
//! These are tokio's own, which need no runtime: a `tapio::sync::Mutex` *is*
//! a `tokio::sync::Mutex`, so libraries that name either agree.
//!
//! They spend nothing of the cooperative budget: a task that loops over a
//! channel that is never empty, and does nothing else, should call
//! [`consume_budget`](crate::task::consume_budget) now and then.

pub use tokio::sync::{
    AcquireError, Barrier, BarrierWaitResult, MappedMutexGuard, Mutex, MutexGuard, Notify,
    OnceCell, OwnedMappedMutexGuard, OwnedMutexGuard, OwnedRwLockMappedWriteGuard,
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit,
    SetError, SetOnce, SetOnceError, TryAcquireError, TryLockError, broadcast, futures, mpsc,
    oneshot, watch,
};
