//! A lock without its value: tokio's semaphore, which queues and wakes, and
//! the ledger beside it.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};

use tokio::sync::{AcquireError, TryAcquireError};

use super::actor::Here;
use super::graph;
use super::ledger::{self, Ledger, Note};
use super::wait::Waiting;
use crate::context::{self, Entered};
use crate::coop;
use crate::report::{LockInfo, LockKind};
use crate::thread_parker::ThreadParker;

/// A lock without its value.
pub(super) struct Raw {
    semaphore: tokio::sync::Semaphore,
    /// Made by the first to get the lock, so that locks can be made in
    /// constants and one that nobody uses costs nothing.
    ledger: OnceLock<Arc<Ledger>>,
    made: Made,
}

/// What a lock was made as.
pub(super) struct Made {
    pub(super) kind: LockKind,
    pub(super) name: Option<Cow<'static, str>>,
    pub(super) at: &'static Location<'static>,
    /// How many permits there are when nobody holds any.
    pub(super) permits: usize,
}

/// How a lock is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) permits: u32,
    /// Where.
    pub(super) place: &'static Location<'static>,
    /// Whether the guard can be given to another task.
    pub(super) is_movable: bool,
}

/// What has a lock in it.
pub(super) trait Lock {
    fn raw(&self) -> &Raw;
}

/// The right to what a lock guards, given back when dropped. `L` is a
/// reference to the lock, borrowed or counted.
pub(super) struct Held<L: Deref<Target: Lock>> {
    lock: L,
    note: Note,
    permits: usize,
}

impl Raw {
    pub(super) const fn new(made: Made) -> Raw {
        Raw {
            semaphore: tokio::sync::Semaphore::const_new(made.permits),
            ledger: OnceLock::new(),
            made,
        }
    }

    pub(super) fn semaphore(&self) -> &tokio::sync::Semaphore {
        &self.semaphore
    }

    #[inline]
    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        self.ledger.get_or_init(|| self.new_ledger())
    }

    #[cold]
    fn new_ledger(&self) -> Arc<Ledger> {
        let info = LockInfo {
            kind: self.made.kind,
            name: self.made.name.as_deref().map(Arc::from),
            made_at: self.made.at,
        };
        Ledger::new(info, self.made.permits)
    }

    /// Gets the permits that `ask` says, at once or by waiting for them.
    ///
    /// Nobody is passed over: while anybody waits, all permits there are belong
    /// to those who do.
    #[inline]
    pub(super) async fn get(&self, ask: Ask) -> Result<Note, AcquireError> {
        match poll_fn(|cx| Poll::Ready(self.get_now(ask, cx.waker()))).await {
            Some(note) => Ok(note),
            None => self.acquire(ask).await,
        }
    }

    #[inline]
    fn get_now(&self, ask: Ask, waker: &Waker) -> Option<Note> {
        let spent = coop::spend()?;
        let permit = self.semaphore.try_acquire_many(ask.permits).ok()?;
        permit.forget();
        spent.made_progress();
        Some(self.write(ask, Here::now(Some(waker))))
    }

    /// Waits for the permits that `ask` says.
    pub(super) fn acquire(
        &self,
        ask: Ask,
    ) -> Waiting<'_, impl Future<Output = Result<tokio::sync::SemaphorePermit<'_>, AcquireError>>>
    {
        Waiting::new(self, ask, self.semaphore.acquire_many(ask.permits))
    }

    pub(super) fn try_acquire(&self, ask: Ask) -> Result<Note, TryAcquireError> {
        let permit = self.semaphore.try_acquire_many(ask.permits)?;
        permit.forget();
        Ok(self.write(ask, Here::now(None)))
    }

    /// Writes down who has got the lock.
    #[inline]
    pub(super) fn write(&self, ask: Ask, here: Here) -> Note {
        if ask.permits == 0 {
            return Note::NONE;
        }
        self.ledger().write(ledger::Hold {
            here,
            place: ask.place,
            permits: ask.permits,
            is_movable: ask.is_movable,
        })
    }

    /// Writes down that `permits` of a hold are one of their own.
    pub(super) fn write_part(&self, hold: Option<ledger::Hold>, permits: usize) -> Note {
        match hold {
            Some(hold) if permits > 0 => self.ledger().write(ledger::Hold {
                permits: saturated(permits),
                ..hold
            }),
            _ => Note::NONE,
        }
    }
}

impl Lock for Raw {
    #[inline]
    fn raw(&self) -> &Raw {
        self
    }
}

/// Waits for `future` on this thread, which then does nothing else.
///
/// # Panics
/// On a thread that drives futures.
#[track_caller]
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    assert!(
        context::entered() == Entered::Outside,
        "Cannot block the current thread from within a runtime. This happens because a function \
         attempted to block the current thread while the thread is being used to drive \
         asynchronous tasks."
    );
    ThreadParker::block_on(future, Location::caller())
}

/// The note of a lock that is never closed.
#[inline]
pub(super) fn never_closed(note: Result<Note, AcquireError>) -> Note {
    note.unwrap_or_else(|_| unreachable!("only a user closes, and only a `Semaphore`"))
}

impl<L: Deref<Target: Lock>> Held<L> {
    #[inline]
    pub(super) fn new(lock: L, note: Note, permits: u32) -> Held<L> {
        Held::new_of(lock, note, permits as usize)
    }

    #[inline]
    pub(super) fn new_of(lock: L, note: Note, permits: usize) -> Held<L> {
        Held {
            lock,
            note,
            permits,
        }
    }

    /// The reference to the lock.
    #[inline]
    pub(super) fn lock(&self) -> &L {
        &self.lock
    }

    pub(super) fn note(&self) -> Note {
        self.note
    }

    /// The permits of `other` become its own.
    pub(super) fn take_over(&mut self, other: &mut Held<L>, permits: usize) {
        if self.note == Note::NONE {
            std::mem::swap(&mut self.note, &mut other.note);
        }
        other.set_permits(0);
        self.set_permits(permits);
    }

    pub(super) fn permits(&self) -> usize {
        self.permits
    }

    /// Says how many permits it is of; the others become somebody else's.
    pub(super) fn set_permits(&mut self, permits: usize) {
        let ledger = self.lock.raw().ledger();
        if permits == 0 {
            ledger.strike(self.note);
            self.note = Note::NONE;
        } else {
            ledger.set_permits(self.note, saturated(permits));
        }
        self.permits = permits;
    }

    /// Gives back all permits but `permits`.
    pub(super) fn shrink(&mut self, permits: usize) {
        let surplus = self.permits - permits;
        self.set_permits(permits);
        self.lock.raw().semaphore.add_permits(surplus);
    }
}

/// The ledger's numbers are smaller than what `merge` can make.
fn saturated(permits: usize) -> u32 {
    u32::try_from(permits).unwrap_or(u32::MAX)
}

impl<'a, L: Lock + ?Sized> Held<&'a L> {
    /// The same, of a lock whose type is forgotten.
    #[inline]
    pub(super) fn into_raw(self) -> Held<&'a Raw> {
        let held = ManuallyDrop::new(self);
        let lock: &'a L = held.lock;
        Held {
            lock: lock.raw(),
            note: held.note,
            permits: held.permits,
        }
    }
}

impl<L: Deref<Target: Lock>> Drop for Held<L> {
    #[inline]
    fn drop(&mut self) {
        let raw = self.lock.raw();
        // Before it is given back: afterwards the entry is the next holder's.
        if let Some(ledger) = raw.ledger.get() {
            ledger.strike(self.note);
        }
        raw.semaphore.add_permits(self.permits);
        if let Some(ledger) = raw.ledger.get()
            && ledger.wants_word()
        {
            graph::released();
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.semaphore.fmt(f)
    }
}
