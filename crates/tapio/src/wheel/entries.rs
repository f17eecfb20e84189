//! The timers themselves, in one block of memory and linked by index.

use std::task::Waker;

/// The index of no entry.
pub(super) const NONE: u32 = u32::MAX;

/// The tick of an entry that is in no list: its waker has been handed out.
pub(super) const HANDED_OUT: u64 = 0;

/// A timer. Half a cache line, so that half a million of them stay cheap to
/// walk.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) tick: u64,
    pub(super) waker: Option<Waker>,
    pub(super) next: u32,
    pub(super) prev: u32,
}

const _: () = assert!(size_of::<Entry>() == 32);

/// Freed entries above which an idle wheel gives its memory back: 2 MiB.
const KEPT_ENTRIES: usize = 65_536;

/// All entries, those in use and those free, which are linked by `next`.
#[derive(Debug)]
pub(super) struct Entries {
    slab: Vec<Entry>,
    free: u32,
    used: u32,
}

impl Entries {
    pub(super) fn new() -> Entries {
        Entries { slab: Vec::new(), free: NONE, used: 0 }
    }

    /// How many are in use.
    pub(super) fn used(&self) -> usize {
        self.used as usize
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> &Entry {
        &self.slab[id as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> &mut Entry {
        &mut self.slab[id as usize]
    }

    /// Stores a timer that is in no list yet.
    #[inline]
    pub(super) fn add(&mut self, tick: u64, waker: Option<Waker>) -> u32 {
        let entry = Entry { tick, waker, next: NONE, prev: NONE };
        self.used += 1;
        if self.free == NONE {
            return self.grow(entry);
        }
        let id = self.free;
        let place = self.get_mut(id);
        let next_free = place.next;
        *place = entry;
        self.free = next_free;
        id
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, entry: Entry) -> u32 {
        let id = u32::try_from(self.slab.len()).ok().filter(|&id| id != NONE);
        let id = id.expect("a worker holds no more than 4,294,967,295 timers");
        self.slab.push(entry);
        id
    }

    /// Frees an entry that is in no list any more.
    #[inline]
    pub(super) fn release(&mut self, id: u32) -> Option<Waker> {
        let free = self.free;
        let entry = self.get_mut(id);
        entry.next = free;
        let waker = entry.waker.take();
        self.free = id;
        self.used -= 1;
        waker
    }

    /// Gives the memory of a past crowd back, once nobody is left of it.
    pub(super) fn shrink_if_idle(&mut self) {
        if self.used == 0 && self.slab.capacity() > KEPT_ENTRIES {
            *self = Entries::new();
        }
    }

    /// Marks every entry as handed out and gives its waker to `take`. The
    /// lists that held them are void.
    pub(super) fn hand_out_all(&mut self, mut take: impl FnMut(Waker)) {
        for entry in &mut self.slab {
            entry.tick = HANDED_OUT;
            if let Some(waker) = entry.waker.take() {
                take(waker);
            }
        }
    }
}

/// Entries in the order in which they came, linked both ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
}

impl List {
    pub(super) const EMPTY: List = List { head: NONE, tail: NONE };

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.head == NONE
    }

    /// The entry in it, if there is exactly one.
    #[inline]
    pub(super) fn only(self) -> Option<u32> {
        (self.head == self.tail && self.head != NONE).then_some(self.head)
    }

    #[inline]
    pub(super) fn push(&mut self, entries: &mut Entries, id: u32) {
        let tail = self.tail;
        let entry = entries.get_mut(id);
        entry.prev = tail;
        entry.next = NONE;
        if tail == NONE {
            self.head = id;
        } else {
            entries.get_mut(tail).next = id;
        }
        self.tail = id;
    }

    #[inline]
    pub(super) fn unlink(&mut self, entries: &mut Entries, id: u32) {
        let Entry { next, prev, .. } = *entries.get(id);
        if prev == NONE {
            self.head = next;
        } else {
            entries.get_mut(prev).next = next;
        }
        if next == NONE {
            self.tail = prev;
        } else {
            entries.get_mut(next).prev = prev;
        }
    }

    /// Moves all of `later` behind what is here.
    #[inline]
    pub(super) fn append(&mut self, entries: &mut Entries, later: List) {
        if later.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = later;
            return;
        }
        entries.get_mut(self.tail).next = later.head;
        entries.get_mut(later.head).prev = self.tail;
        self.tail = later.tail;
    }
}
