//! What a descriptor is ready for, and what somebody waits for.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

/// What the kernel said a descriptor is ready for.
///
/// A set: the empty one is [`Ready::EMPTY`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ready(u8);

impl Ready {
    /// Ready for nothing.
    pub const EMPTY: Ready = Ready(0);
    /// A read makes progress.
    pub const READABLE: Ready = Ready(0b00_0001);
    /// A write makes progress.
    pub const WRITABLE: Ready = Ready(0b00_0010);
    /// The peer will send no more, or the read half was shut down.
    pub const READ_CLOSED: Ready = Ready(0b00_0100);
    /// Nothing more can be written.
    pub const WRITE_CLOSED: Ready = Ready(0b00_1000);
    /// Out-of-band data is there (`EPOLLPRI`).
    pub const PRIORITY: Ready = Ready(0b01_0000);
    /// The descriptor has an error pending (`EPOLLERR`).
    pub const ERROR: Ready = Ready(0b10_0000);
    /// Everything.
    pub const ALL: Ready = Ready(0b11_1111);

    /// Whether nothing is ready.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a read makes progress, if only to report the end of the stream.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & (Ready::READABLE.0 | Ready::READ_CLOSED.0) != 0
    }

    /// Whether a write makes progress, if only to report an error.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & (Ready::WRITABLE.0 | Ready::WRITE_CLOSED.0) != 0
    }

    /// Whether the read half is closed.
    #[must_use]
    pub const fn is_read_closed(self) -> bool {
        self.0 & Ready::READ_CLOSED.0 != 0
    }

    /// Whether the write half is closed.
    #[must_use]
    pub const fn is_write_closed(self) -> bool {
        self.0 & Ready::WRITE_CLOSED.0 != 0
    }

    /// Whether out-of-band data is there.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & Ready::PRIORITY.0 != 0
    }

    /// Whether an error is pending.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & Ready::ERROR.0 != 0
    }

    /// Whether every flag of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Ready) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags as they are kept in a [`Source`](crate::Source).
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Ready {
        Ready(bits & Ready::ALL.0)
    }

    /// What poll flags of the kernel (`POLLIN` and so on, the same bits for
    /// `poll` and `epoll`) say.
    pub(crate) fn from_poll(flags: u32) -> Ready {
        const IN: u32 = 0x001;
        const PRI: u32 = 0x002;
        const OUT: u32 = 0x004;
        const ERR: u32 = 0x008;
        const HUP: u32 = 0x010;
        const RDHUP: u32 = 0x2000;
        let mut ready = Ready::EMPTY;
        // A read is also how one learns of an error: datagram sockets report
        // a refusal by the peer with nothing but ERR.
        if flags & (IN | PRI | ERR) != 0 {
            ready |= Ready::READABLE;
        }
        if flags & PRI != 0 {
            ready |= Ready::PRIORITY;
        }
        if flags & OUT != 0 {
            ready |= Ready::WRITABLE;
        }
        if flags & HUP != 0 || (flags & IN != 0 && flags & RDHUP != 0) {
            ready |= Ready::READ_CLOSED;
        }
        // A pipe whose reader is gone reports ERR without HUP or with OUT.
        if flags & HUP != 0 || (flags & OUT != 0 && flags & ERR != 0) || flags == ERR {
            ready |= Ready::WRITE_CLOSED;
        }
        if flags & ERR != 0 {
            ready |= Ready::ERROR;
        }
        ready
    }
}

impl BitOr for Ready {
    type Output = Ready;
    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Ready;
    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl Sub for Ready {
    type Output = Ready;
    fn sub(self, other: Ready) -> Ready {
        Ready(self.0 & !other.0)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("is_readable", &self.is_readable())
            .field("is_writable", &self.is_writable())
            .field("is_read_closed", &self.is_read_closed())
            .field("is_write_closed", &self.is_write_closed())
            .field("is_error", &self.is_error())
            .field("is_priority", &self.is_priority())
            .finish()
    }
}

/// What somebody waits for: a set that is never empty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Waits until a read makes progress.
    pub const READABLE: Interest = Interest(0b0001);
    /// Waits until a write makes progress.
    pub const WRITABLE: Interest = Interest(0b0010);
    /// Waits for out-of-band data.
    pub const PRIORITY: Interest = Interest(0b0100);
    /// Waits for an error only.
    pub const ERROR: Interest = Interest(0b1000);

    /// Whether reading is waited for.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Interest::READABLE.0 != 0
    }

    /// Whether writing is waited for.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Interest::WRITABLE.0 != 0
    }

    /// Whether out-of-band data is waited for.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.0 & Interest::PRIORITY.0 != 0
    }

    /// Whether errors are waited for.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & Interest::ERROR.0 != 0
    }

    /// Both interests together.
    #[must_use]
    pub const fn add(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }

    /// This interest without the other; `None` when nothing is left.
    #[must_use]
    pub const fn remove(self, other: Interest) -> Option<Interest> {
        match self.0 & !other.0 {
            0 => None,
            left => Some(Interest(left)),
        }
    }

    /// The readiness that satisfies this interest.
    #[must_use]
    pub fn mask(self) -> Ready {
        let mut mask = Ready::EMPTY;
        if self.is_readable() {
            mask |= Ready::READABLE | Ready::READ_CLOSED;
        }
        if self.is_writable() {
            mask |= Ready::WRITABLE | Ready::WRITE_CLOSED;
        }
        if self.is_priority() {
            mask |= Ready::PRIORITY | Ready::READ_CLOSED;
        }
        if self.is_error() {
            mask |= Ready::ERROR;
        }
        mask
    }
}

impl BitOr for Interest {
    type Output = Interest;
    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

impl BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.is_readable(), "READABLE"),
            (self.is_writable(), "WRITABLE"),
            (self.is_priority(), "PRIORITY"),
            (self.is_error(), "ERROR"),
        ];
        let mut first = true;
        for (_, name) in names.iter().filter(|(set, _)| *set) {
            if !first {
                f.write_str(" | ")?;
            }
            f.write_str(name)?;
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Interest, Ready};

    #[test]
    fn poll_flags_map_as_mio_maps_them_but_for_errors() {
        assert_eq!(Ready::from_poll(0x001), Ready::READABLE);
        assert_eq!(Ready::from_poll(0x004), Ready::WRITABLE);
        assert_eq!(
            Ready::from_poll(0x2001),
            Ready::READABLE | Ready::READ_CLOSED
        );
        assert!(Ready::from_poll(0x010).is_read_closed());
        assert!(Ready::from_poll(0x010).is_write_closed());
        assert!(Ready::from_poll(0x008).is_write_closed());
        assert!(Ready::from_poll(0x008).is_readable());
        assert!(Ready::from_poll(0x00c).is_write_closed());
        assert!(Ready::from_poll(0x002).is_priority());
    }

    #[test]
    fn interest_is_a_set_without_an_empty_value() {
        let both = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
        assert_eq!(Interest::READABLE.remove(Interest::READABLE), None);
        assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
    }
}
