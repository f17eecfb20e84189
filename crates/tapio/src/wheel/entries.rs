//! The timers themselves, in chunks, and where to find each of them.
//!
//! A slot's timers lie side by side in chunks, not each in a place of its own
//! with links between them: with half a million timers every link would be a
//! miss of the cache that the next one has to wait for, and a timer is moved
//! and handed out much more often than it is looked for by its key. What a key
//! names is a *spot*, four bytes that say where the timer lies at present.

use std::task::Waker;

/// The index of no chunk and no spot.
const NONE: u32 = u32::MAX;

/// What a spot says of a timer that lies in no list: it was handed out.
const HANDED_OUT: u32 = u32::MAX;

/// Timers side by side.
const CHUNK: usize = 8;

/// Spots above which an idle wheel gives its memory back, of which there is
/// then about a MiB.
const KEPT_SPOTS: usize = 32_768;

/// A timer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) waker: Option<Waker>,
    pub(super) tick: u64,
    pub(super) id: u32,
}

impl Entry {
    const EMPTY: Entry = Entry {
        waker: None,
        tick: 0,
        id: NONE,
    };

    /// Moves it out; what stays behind owns nothing.
    #[inline]
    fn take(&mut self) -> Entry {
        Entry {
            waker: self.waker.take(),
            ..*self
        }
    }
}

#[derive(Debug)]
struct Chunk {
    entries: [Entry; CHUNK],
    next: u32,
    prev: u32,
}

/// Timers in the order in which they came, as far as none of them was taken
/// out. All chunks but the last are full.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
    /// How many timers the last chunk holds; never zero in a list that is not
    /// empty.
    tail_len: u32,
    /// How long after the beginning of the list's place its first timer is
    /// due, or a timer that has been taken out since. `Slots` keeps it.
    pub(super) first: u32,
}

impl List {
    pub(super) const EMPTY: List = List {
        head: NONE,
        tail: NONE,
        tail_len: 0,
        first: u32::MAX,
    };

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.head == NONE
    }

    #[inline]
    fn len_of(self, chunk: u32) -> u32 {
        if chunk == self.tail {
            self.tail_len
        } else {
            CHUNK as u32
        }
    }
}

/// All timers of a wheel.
#[derive(Debug)]
pub(super) struct Entries {
    chunks: Vec<Chunk>,
    /// The first of the free chunks, which are linked by `next`.
    free_chunk: u32,
    /// For each timer where it lies (chunk times `CHUNK` plus the place in
    /// it) or `HANDED_OUT`; for each free spot the next one.
    spots: Vec<u32>,
    free_spot: u32,
    used: u32,
}

impl Entries {
    pub(super) fn new() -> Entries {
        Entries {
            chunks: Vec::new(),
            free_chunk: NONE,
            spots: Vec::new(),
            free_spot: NONE,
            used: 0,
        }
    }

    /// How many timers there are, with those handed out and not yet released.
    pub(super) fn used(&self) -> usize {
        self.used as usize
    }

    // ---- spots ------------------------------------------------------------

    /// A name for a new timer.
    #[inline]
    pub(super) fn claim(&mut self) -> u32 {
        self.used += 1;
        if self.free_spot == NONE {
            return self.grow_spots();
        }
        let id = self.free_spot;
        self.free_spot = self.spots[id as usize];
        id
    }

    #[cold]
    #[inline(never)]
    fn grow_spots(&mut self) -> u32 {
        // A quarter of what an index can name, so that places in chunks can be
        // named as well.
        assert!(
            self.spots.len() < (NONE / 4) as usize,
            "too many timers on one worker"
        );
        self.spots.push(HANDED_OUT);
        (self.spots.len() - 1) as u32
    }

    /// Frees the name of a timer that lies in no list.
    #[inline]
    pub(super) fn release(&mut self, id: u32) {
        self.spots[id as usize] = self.free_spot;
        self.free_spot = id;
        self.used -= 1;
    }

    /// The timer, unless it was handed out.
    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<&Entry> {
        let spot = self.spots[id as usize] as usize;
        // Handed out, it would lie beyond all chunks.
        self.chunks
            .get(spot / CHUNK)
            .map(|chunk| &chunk.entries[spot % CHUNK])
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Entry> {
        let spot = self.spots[id as usize] as usize;
        self.chunks
            .get_mut(spot / CHUNK)
            .map(|chunk| &mut chunk.entries[spot % CHUNK])
    }

    // ---- lists ------------------------------------------------------------

    /// Puts a timer behind all others of a list.
    #[inline]
    pub(super) fn push(&mut self, list: &mut List, entry: Entry) {
        let at = list.tail_len as usize % CHUNK;
        if at == 0 {
            // There is no last chunk, or it is full.
            self.push_chunk(list);
        }
        self.spots[entry.id as usize] = list.tail * CHUNK as u32 + at as u32;
        self.chunks[list.tail as usize].entries[at] = entry;
        list.tail_len += 1;
    }

    /// Takes a timer out of the list in which it lies; the list's last one
    /// takes its place.
    #[inline]
    pub(super) fn take(&mut self, list: &mut List, id: u32) -> Entry {
        let spot = self.spots[id as usize];
        let (chunk, at) = ((spot as usize) / CHUNK, (spot as usize) % CHUNK);
        let last = self.chunks[list.tail as usize].entries[list.tail_len as usize - 1].take();
        list.tail_len -= 1;
        if list.tail_len == 0 {
            self.pop_chunk(list);
        }
        self.spots[id as usize] = HANDED_OUT;
        if last.id == id {
            return last;
        }
        self.spots[last.id as usize] = spot;
        std::mem::replace(&mut self.chunks[chunk].entries[at], last)
    }

    fn push_chunk(&mut self, list: &mut List) {
        let id = if self.free_chunk == NONE {
            self.grow_chunks()
        } else {
            self.free_chunk
        };
        let chunk = &mut self.chunks[id as usize];
        self.free_chunk = chunk.next;
        (chunk.prev, chunk.next) = (list.tail, NONE);
        if list.tail == NONE {
            list.head = id;
        } else {
            self.chunks[list.tail as usize].next = id;
        }
        (list.tail, list.tail_len) = (id, 0);
    }

    #[cold]
    #[inline(never)]
    fn grow_chunks(&mut self) -> u32 {
        let entries = [const { Entry::EMPTY }; CHUNK];
        self.chunks.push(Chunk {
            entries,
            next: NONE,
            prev: NONE,
        });
        (self.chunks.len() - 1) as u32
    }

    /// Frees the last chunk of a list, which is empty.
    fn pop_chunk(&mut self, list: &mut List) {
        let id = list.tail;
        let chunk = &mut self.chunks[id as usize];
        list.tail = chunk.prev;
        chunk.next = self.free_chunk;
        self.free_chunk = id;
        if list.tail == NONE {
            *list = List::EMPTY;
        } else {
            self.chunks[list.tail as usize].next = NONE;
            list.tail_len = CHUNK as u32;
        }
    }

    /// Takes the timers of the list's first chunk out, each by a call of
    /// `each`, which may push them to other lists. Says how many those were.
    #[inline]
    pub(super) fn drain_chunk(
        &mut self,
        list: &mut List,
        mut each: impl FnMut(&mut Entries, Entry),
    ) -> usize {
        if list.is_empty() {
            return 0;
        }
        let id = list.head;
        let len = list.len_of(id) as usize;
        for at in 0..len {
            let entry = self.chunks[id as usize].entries[at].take();
            self.spots[entry.id as usize] = HANDED_OUT;
            each(self, entry);
        }
        let chunk = &mut self.chunks[id as usize];
        let next = chunk.next;
        chunk.next = self.free_chunk;
        self.free_chunk = id;
        if next == NONE {
            *list = List::EMPTY;
        } else {
            self.chunks[next as usize].prev = NONE;
            list.head = next;
        }
        len
    }

    /// Gives the memory of a past crowd back, once nobody is left of it.
    pub(super) fn shrink_if_idle(&mut self) {
        if self.used == 0 && self.spots.capacity() > KEPT_SPOTS {
            *self = Entries::new();
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.spots.capacity()
    }
}
