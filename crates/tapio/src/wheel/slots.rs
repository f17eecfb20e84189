//! Where a timer waits: levels of slots, and which of them are occupied.

use super::entries::{Entries, Entry, List};

const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
const LEVELS: u32 = 6;

/// The row of what is due, before the rows of the levels.
const DUE_ROW: usize = 0;
/// The row of what no level can tell apart, after them.
const FAR_ROW: usize = LEVELS as usize + 1;
const ROWS: usize = FAR_ROW + 1;

/// A slot, by row and column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    row: usize,
    column: usize,
}

impl Place {
    pub(super) const DUE: Place = Place {
        row: DUE_ROW,
        column: 0,
    };

    /// Where a timer for `tick` waits when the wheel has reached `time`.
    ///
    /// The answer does not change while `time` moves on towards the place's
    /// own beginning: until then the highest differing digit stays the same.
    #[inline]
    pub(super) fn of(tick: u64, time: u64) -> Place {
        if tick <= time {
            return Place::DUE;
        }
        let highest_bit = u64::BITS - 1 - (tick ^ time).leading_zeros();
        let level = highest_bit / DIGIT_BITS;
        if level >= LEVELS {
            return Place {
                row: FAR_ROW,
                column: 0,
            };
        }
        let column = (tick >> (level * DIGIT_BITS)) as usize % SLOTS;
        Place {
            row: level as usize + 1,
            column,
        }
    }

    /// The tick at which this place is reached by a wheel that stands at `time`.
    #[inline]
    pub(super) fn begins(self, time: u64) -> u64 {
        match self.row {
            DUE_ROW => time,
            FAR_ROW => ((time >> (LEVELS * DIGIT_BITS)) + 1) << (LEVELS * DIGIT_BITS),
            row => {
                let shift = (row as u32 - 1) * DIGIT_BITS;
                let above = shift + DIGIT_BITS;
                ((time >> above) << above) | ((self.column as u64) << shift)
            }
        }
    }

    /// Whether all timers in it have the tick at which it begins.
    #[inline]
    pub(super) fn is_one_tick(self) -> bool {
        self.row == DUE_ROW + 1
    }

    #[inline]
    fn index(self) -> usize {
        (self.row * SLOTS + self.column) % (ROWS * SLOTS)
    }
}

/// The lists of all places and the bitmaps of those that hold something.
#[derive(Debug)]
pub(super) struct Slots {
    lists: [List; ROWS * SLOTS],
    /// For each row, a bit for each occupied column.
    columns: [u64; ROWS],
    /// A bit for each row with an occupied column.
    rows: u8,
}

impl Slots {
    pub(super) fn new() -> Slots {
        Slots {
            lists: [List::EMPTY; ROWS * SLOTS],
            columns: [0; ROWS],
            rows: 0,
        }
    }

    /// The occupied place that is reached first: rows and columns are ordered
    /// by time, and a place that time has passed is empty.
    #[inline]
    pub(super) fn first(&self) -> Option<Place> {
        if self.rows == 0 {
            return None;
        }
        let row = self.rows.trailing_zeros() as usize % ROWS;
        let column = self.columns[row].trailing_zeros() as usize % SLOTS;
        Some(Place { row, column })
    }

    /// The tick of the first timer, for a wheel that stands at `time`. Earlier
    /// if that timer has been taken out, but never earlier than its place.
    #[inline]
    pub(super) fn first_tick(&self, time: u64) -> Option<u64> {
        let place = self.first()?;
        let first = self.lists[place.index()].first;
        Some(place.begins(time) + u64::from(first))
    }

    /// Puts a timer into the place where it waits when the wheel stands at
    /// `time`.
    #[inline]
    pub(super) fn push(&mut self, time: u64, entries: &mut Entries, entry: Entry) {
        let place = Place::of(entry.tick, time);
        // Only what no level tells apart can be so late that it does not fit:
        // then the wheel wakes early, once in the 2.2 years of its levels.
        let after = entry.tick.saturating_sub(place.begins(time));
        let after = u32::try_from(after).unwrap_or(u32::MAX);
        let list = &mut self.lists[place.index()];
        list.first = list.first.min(after);
        entries.push(list, entry);
        self.columns[place.row] |= 1 << place.column;
        self.rows |= 1 << place.row;
    }

    /// Takes a timer out of the place in which it lies.
    #[inline]
    pub(super) fn take(&mut self, place: Place, entries: &mut Entries, id: u32) -> Entry {
        let list = &mut self.lists[place.index()];
        let entry = entries.take(list, id);
        if list.is_empty() {
            self.mark_empty(place);
        }
        entry
    }

    /// Empties a place.
    #[inline]
    pub(super) fn take_all(&mut self, place: Place) -> List {
        self.mark_empty(place);
        std::mem::replace(&mut self.lists[place.index()], List::EMPTY)
    }

    /// Puts a list into a place, which is empty.
    #[inline]
    pub(super) fn put_all(&mut self, place: Place, list: List) {
        debug_assert!(self.lists[place.index()].is_empty());
        if !list.is_empty() {
            self.lists[place.index()] = list;
            self.columns[place.row] |= 1 << place.column;
            self.rows |= 1 << place.row;
        }
    }

    #[inline]
    fn mark_empty(&mut self, place: Place) {
        self.columns[place.row] &= !(1 << place.column);
        if self.columns[place.row] == 0 {
            self.rows &= !(1 << place.row);
        }
    }
}
