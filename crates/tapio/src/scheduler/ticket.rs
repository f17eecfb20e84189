//! The right to work at a seat.

/// Who works at a seat: given anew each time somebody sits down there, so an
/// old one is worth nothing. That is what makes it safe to relieve a thread
/// that does not notice: before it parks or looks at the driver it shows its
/// ticket, under the driver's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// The low bits say which seat, counted from one; the others count.
const SEAT_BITS: u32 = 16;
/// As many seats as a runtime may have.
pub(crate) const SEATS_MAX: usize = (1 << SEAT_BITS) - 1;

impl Ticket {
    /// No seat's.
    pub(super) const NONE: Ticket = Ticket(0);

    /// A seat's first: nobody has it.
    pub(super) fn first(seat: usize) -> Ticket {
        Ticket(seat as u64 + 1)
    }

    /// The one after this, for the same seat.
    pub(super) fn next(self) -> Ticket {
        Ticket(self.0 + (1 << SEAT_BITS))
    }

    #[inline]
    pub(super) fn seat(self) -> Option<u32> {
        let number = self.0 & ((1 << SEAT_BITS) - 1);
        number.checked_sub(1).map(|seat| seat as u32)
    }

    pub(super) fn to_word(self) -> u64 {
        self.0
    }

    pub(super) fn from_word(word: u64) -> Ticket {
        Ticket(word)
    }
}

#[cfg(test)]
mod tests {
    use super::{SEATS_MAX, Ticket};

    #[test]
    fn tickets_name_their_seat_and_differ() {
        let first = Ticket::first(SEATS_MAX - 1);
        let next = first.next();
        assert_ne!(first, next);
        assert_eq!(first.seat(), Some(SEATS_MAX as u32 - 1));
        assert_eq!(next.seat(), first.seat());
        assert_eq!(Ticket::first(0).next().next().seat(), Some(0));
        assert_eq!(Ticket::NONE.seat(), None);
    }
}
