//! A lock's ledger: who holds it, since which line.
//!
//! A ledger outlives its lock if it must: whoever looks for deadlocks comes by
//! it from another lock's waiters, and a lock may be moved or dropped while a
//! leaked future still seems to wait for it.
//!
//! A hold is written down by whoever got the lock, after it got it, and
//! struck out before it gives it back, with plain stores: an entry belongs to
//! the one that claimed it. Readers may see an entry that is half written, and
//! then pass it over; the entries of those that wait elsewhere, which is what
//! they look for, were complete before that wait was announced under the
//! graph's lock.

#![expect(unsafe_code, reason = "a place in a word is a reference again")]

use std::fmt;
use std::panic::{Location, RefUnwindSafe};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use tapio_driver::lock::Mutex;

use super::actor::{Actor, Here};
use crate::report::LockInfo;

/// Entries that are claimed without a lock; what comes beyond is listed.
const ENTRIES: usize = 4;

/// Set in an entry's actor if the hold can be given to another task.
const MOVABLE: u64 = 1 << 61;
/// Set in an entry's actor if its site is that of a `block_on`.
const BLOCK_ON: u64 = 1 << 60;
const FLAGS: u64 = MOVABLE | BLOCK_ON;

/// What is known of a lock and its holders.
pub(super) struct Ledger {
    pub(super) info: LockInfo,
    /// How many permits there are when nobody holds any.
    pub(super) total: usize,
    /// Permits were added or forgotten: who holds them says nothing of when
    /// they come back.
    is_loose: AtomicBool,
    /// Given to it when somebody waits for it first; zero before.
    number: AtomicU64,
    /// Somebody waits, and the guard will not look again unless it is told.
    wants_word: AtomicBool,
    book: Book,
}

enum Book {
    /// For a lock with one holder at a time.
    One(Entry),
    Many(Box<Many>),
}

struct Many {
    entries: [Entry; ENTRIES],
    /// The holds for which no entry was free, by number.
    rest: Mutex<Rest>,
}

#[derive(Default)]
struct Rest {
    next: u32,
    holds: Vec<(u32, Hold)>,
}

/// One hold.
struct Entry {
    /// Zero while free.
    actor: AtomicU64,
    place: AtomicPtr<Location<'static>>,
    site: AtomicPtr<Location<'static>>,
    permits: AtomicU32,
    /// Different for each hold that was written here.
    generation: AtomicU32,
}

/// Where a hold is written; for whoever releases it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note(u32);

impl Note {
    /// For a hold that is written nowhere.
    pub(super) const NONE: Note = Note(u32::MAX);
}

/// One hold, as somebody reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) here: Here,
    pub(super) place: &'static Location<'static>,
    pub(super) permits: u32,
    /// Whether the guard can be given to another task.
    pub(super) is_movable: bool,
}

/// Tells one hold of a lock from every other, earlier ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HoldId {
    note: u32,
    generation: u32,
}

impl RefUnwindSafe for Ledger {}

impl Ledger {
    pub(super) fn new(info: LockInfo, total: usize) -> Arc<Ledger> {
        let book = if total == 1 {
            Book::One(Entry::new())
        } else {
            Book::Many(Box::new(Many {
                entries: [const { Entry::new() }; ENTRIES],
                rest: Mutex::default(),
            }))
        };
        Arc::new(Ledger {
            info,
            total,
            is_loose: AtomicBool::new(false),
            number: AtomicU64::new(0),
            wants_word: AtomicBool::new(false),
            book,
        })
    }

    /// Writes down a hold.
    #[inline]
    pub(super) fn write(&self, hold: Hold) -> Note {
        match &self.book {
            Book::One(entry) if !self.is_loose() => {
                entry.fill(&hold);
                Note(0)
            }
            // More than one permit was added: the entry may not be enough.
            Book::One(_) => Note::NONE,
            Book::Many(many) => many.write(hold),
        }
    }

    /// Strikes it out.
    #[inline]
    pub(super) fn strike(&self, note: Note) {
        match &self.book {
            Book::One(entry) if note.0 == 0 => entry.clear(),
            Book::One(_) => {}
            Book::Many(many) => many.strike(note),
        }
    }

    /// Changes how many permits a hold is of.
    pub(super) fn set_permits(&self, note: Note, permits: u32) {
        match &self.book {
            // Relaxed: only its holder changes it; readers want the number.
            Book::One(entry) if note.0 == 0 => entry.permits.store(permits, Ordering::Relaxed),
            Book::One(_) => {}
            Book::Many(many) => match many.entries.get(note.0 as usize) {
                Some(entry) => entry.permits.store(permits, Ordering::Relaxed),
                None => many.with_rest(note, |hold| hold.permits = permits),
            },
        }
    }

    /// The hold behind a note.
    pub(super) fn read(&self, note: Note) -> Option<Hold> {
        self.holds()
            .into_iter()
            .find(|(id, _)| id.note == note.0)
            .map(|(_, hold)| hold)
    }

    /// The number of the hold behind a note.
    pub(super) fn id(&self, note: Note) -> HoldId {
        let entry = match &self.book {
            Book::One(entry) => Some(entry),
            Book::Many(many) => many.entries.get(note.0 as usize),
        };
        HoldId {
            note: note.0,
            // Relaxed: asked by the holder itself, which wrote it.
            generation: entry.map_or(0, |entry| entry.generation.load(Ordering::Relaxed)),
        }
    }

    /// Whether a hold goes on.
    pub(super) fn is_held(&self, id: HoldId) -> bool {
        let is_in = |entry: &Entry| {
            entry.actor.load(Ordering::Acquire) & !FLAGS != 0
                && entry.generation.load(Ordering::Relaxed) == id.generation
        };
        match &self.book {
            Book::One(entry) => id.note == 0 && is_in(entry),
            Book::Many(many) => match many.entries.get(id.note as usize) {
                Some(entry) => is_in(entry),
                None => {
                    let rest = many.rest.lock();
                    rest.holds.iter().any(|(note, _)| *note == id.note)
                }
            },
        }
    }

    /// Everybody who holds it now.
    pub(super) fn holds(&self) -> Vec<(HoldId, Hold)> {
        let entries = match &self.book {
            Book::One(entry) => std::slice::from_ref(entry),
            Book::Many(many) => &many.entries,
        };
        let mut holds: Vec<_> = (0..)
            .zip(entries)
            .filter_map(|(note, entry)| entry.read(note))
            .collect();
        if let Book::Many(many) = &self.book {
            let rest = many.rest.lock();
            holds.extend(rest.holds.iter().map(|(note, hold)| {
                let id = HoldId {
                    note: *note,
                    generation: 0,
                };
                (id, *hold)
            }));
        }
        holds
    }

    /// A number that no other lock has had or will have. Asked by one thread
    /// at a time, under the graph's lock.
    pub(super) fn number(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed, all: the graph's lock orders those who ask.
        match self.number.load(Ordering::Relaxed) {
            0 => {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                self.number.store(number, Ordering::Relaxed);
                number
            }
            number => number,
        }
    }

    /// Permits came or went otherwise than by being acquired and released.
    pub(super) fn loosen(&self) {
        // Relaxed, both: who looks for deadlocks meanwhile may be wrong by one
        // moment, as if the permits had come that much later.
        if !self.is_loose.load(Ordering::Relaxed) {
            self.is_loose.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a release is news to the guard.
    #[inline]
    pub(super) fn wants_word(&self) -> bool {
        // Relaxed: asked after the release, whose atomics pair with the fence
        // that follows `want_word`: either the guard sees the release, or we
        // see that it wants to know.
        self.wants_word.load(Ordering::Relaxed)
    }

    pub(super) fn want_word(&self, wants: bool) {
        self.wants_word.store(wants, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_loose(&self) -> bool {
        self.is_loose.load(Ordering::Relaxed)
    }
}

impl Many {
    fn write(&self, hold: Hold) -> Note {
        let bits = hold.actor_bits();
        for (note, entry) in (0..).zip(&self.entries) {
            // Relaxed load: only a guess. Acquire on success pairs with the
            // release in `clear`, so that what the last owner wrote here is
            // overwritten by us and not the other way round.
            if entry.actor.load(Ordering::Relaxed) == 0
                && entry
                    .actor
                    .compare_exchange(0, FLAGS, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                entry.write(&hold, bits);
                return Note(note);
            }
        }
        let mut rest = self.rest.lock();
        // Numbers come again after four billion holds that found no entry.
        let number = rest.next.max(ENTRIES as u32);
        rest.next = (number + 1) % Note::NONE.0;
        rest.holds.push((number, hold));
        Note(number)
    }

    fn strike(&self, note: Note) {
        if let Some(entry) = self.entries.get(note.0 as usize) {
            return entry.clear();
        }
        if note == Note::NONE {
            return;
        }
        let mut rest = self.rest.lock();
        if let Some(index) = rest.holds.iter().position(|(number, _)| *number == note.0) {
            rest.holds.swap_remove(index);
        }
    }

    fn with_rest(&self, note: Note, change: impl FnOnce(&mut Hold)) {
        let mut rest = self.rest.lock();
        if let Some((_, hold)) = rest.holds.iter_mut().find(|(number, _)| *number == note.0) {
            change(hold);
        }
    }
}

impl Hold {
    fn actor_bits(&self) -> u64 {
        let movable = if self.is_movable { MOVABLE } else { 0 };
        let block_on = if self.here.is_block_on { BLOCK_ON } else { 0 };
        self.here.actor.to_bits() | movable | block_on
    }
}

impl Entry {
    const fn new() -> Entry {
        Entry {
            actor: AtomicU64::new(0),
            place: AtomicPtr::new(ptr::null_mut()),
            site: AtomicPtr::new(ptr::null_mut()),
            permits: AtomicU32::new(0),
            generation: AtomicU32::new(0),
        }
    }

    #[inline]
    fn fill(&self, hold: &Hold) {
        self.write(hold, hold.actor_bits());
    }

    #[inline]
    fn write(&self, hold: &Hold, bits: u64) {
        // Relaxed, all but the last: the release there, and in the graph's
        // lock for those whom it matters to, publishes them.
        let generation = self.generation.load(Ordering::Relaxed).wrapping_add(1);
        self.generation.store(generation, Ordering::Relaxed);
        self.place
            .store(ptr::from_ref(hold.place).cast_mut(), Ordering::Relaxed);
        let site = hold.here.site.map_or(ptr::null(), ptr::from_ref);
        self.site.store(site.cast_mut(), Ordering::Relaxed);
        self.permits.store(hold.permits, Ordering::Relaxed);
        // Release: pairs with the acquire in `read`.
        self.actor.store(bits, Ordering::Release);
    }

    #[inline]
    fn clear(&self) {
        // Release: pairs with the acquire in `write` of `Many`; for `One` the
        // lock itself orders the next holder after us.
        self.actor.store(0, Ordering::Release);
    }

    fn read(&self, note: u32) -> Option<(HoldId, Hold)> {
        let bits = self.actor.load(Ordering::Acquire);
        let generation = self.generation.load(Ordering::Relaxed);
        let actor = Actor::from_bits(bits & !FLAGS)?;
        let place = location(&self.place)?;
        let hold = Hold {
            here: Here {
                actor,
                site: location(&self.site),
                is_block_on: bits & BLOCK_ON != 0,
            },
            place,
            permits: self.permits.load(Ordering::Relaxed),
            is_movable: bits & MOVABLE != 0,
        };
        // Another hold meanwhile: this one is over, so nobody waits for it.
        let is_same = self.actor.load(Ordering::Acquire) == bits
            && self.generation.load(Ordering::Relaxed) == generation;
        is_same.then_some((HoldId { note, generation }, hold))
    }
}

/// The place that an entry names.
fn location(word: &AtomicPtr<Location<'static>>) -> Option<&'static Location<'static>> {
    // SAFETY: only `write` stores here, null or a reference that is valid and
    // unchanged for ever; nobody writes to what it points to.
    unsafe { word.load(Ordering::Relaxed).as_ref() }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}
