//! Deadlocks: who waits for whom, and what to do about it.

use std::fmt;
use std::time::Duration;

use super::{LockKind, LockUse, LockUser};

/// One of those who wait for each other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadlockParty {
    /// Who it is.
    pub user: LockUser,
    /// What it holds that others of them wait for.
    pub holds: Vec<LockUse>,
    /// What it waits for.
    pub waits: Vec<LockUse>,
}

/// Tasks wait for locks that none but they hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deadlock {
    /// All of them; the text names the first ten.
    pub parties: Vec<DeadlockParty>,
    /// `None` for a deadlock that nothing resolves, told when it closed.
    /// Otherwise how long it has lasted without any of its locks being given
    /// to anybody: something else might still resolve it, as a timeout,
    /// another branch of one of the tasks, or whoever an owned guard was given
    /// to. The text says which.
    pub lasted: Option<Duration>,
    pub(crate) doubts: Doubts,
}

/// What may still end a circle of waits that is not proved to be a deadlock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubts {
    /// One of the holds is an owned guard's.
    pub(crate) guard_may_be_elsewhere: bool,
    /// One of the locks is a semaphore.
    pub(crate) permits_may_be_added: bool,
    /// Something else than the locks may wake one of the parties.
    pub(crate) may_be_woken: bool,
}

/// So many parties, and uses of locks by one of them, are put into words.
const NAMED_MAX: usize = 10;

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.parties.len();
        match (self.lasted, count) {
            (None, 1) => writeln!(f, "deadlock: one waits for what it holds itself")?,
            (None, _) => writeln!(f, "deadlock: {count} wait for each other")?,
            (Some(lasted), 1) => writeln!(
                f,
                "deadlock, as it seems: one has waited for {} ms for what it holds itself",
                lasted.as_millis(),
            )?,
            (Some(lasted), _) => writeln!(
                f,
                "deadlock, as it seems: {count} have waited for each other for {} ms",
                lasted.as_millis(),
            )?,
        }
        for party in self.parties.iter().take(NAMED_MAX) {
            party.fmt(f)?;
        }
        more(f, "  ", count)?;
        match self.lasted {
            None => writeln!(f, "  it will not end by itself")?,
            Some(_) => self.doubts.fmt(f)?,
        }
        f.write_str("  help: ")?;
        match self.parties.as_slice() {
            [party] => party.help(f),
            _ => f.write_str(
                "take locks in one order everywhere, and drop a guard before waiting for the next \
                 lock",
            ),
        }
    }
}

impl DeadlockParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}", self.user)?;
        for held in self.holds.iter().take(NAMED_MAX) {
            writeln!(f, "    holds {}", held.lock)?;
            writeln!(f, "      taken at {}", held.at)?;
        }
        more(f, "    holds ", self.holds.len())?;
        for wait in self.waits.iter().take(NAMED_MAX) {
            writeln!(f, "    waits for {}", wait.lock)?;
            writeln!(f, "      at {}", wait.at)?;
            for (user, at) in &wait.behind {
                writeln!(f, "      in line behind {user}, at {at}")?;
            }
        }
        more(f, "    waits for ", self.waits.len())
    }

    /// What to do, for one that waits for itself.
    fn help(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_of = |kind| self.waits.iter().any(|wait| wait.lock.kind == kind);
        if is_of(LockKind::Semaphore) {
            return f.write_str(
                "release its permits before it waits for more, or acquire all that it needs at \
                 once (acquire_many)",
            );
        }
        f.write_str("drop the first guard before locking again, or pass it on to who needs it")?;
        if is_of(LockKind::RwLock) {
            f.write_str("; a read guard cannot be upgraded, and a reader waits behind a writer")?;
        }
        Ok(())
    }
}

impl Doubts {
    /// All that may end one of two circles.
    pub(crate) fn and(self, other: Doubts) -> Doubts {
        Doubts {
            guard_may_be_elsewhere: self.guard_may_be_elsewhere || other.guard_may_be_elsewhere,
            permits_may_be_added: self.permits_may_be_added || other.permits_may_be_added,
            may_be_woken: self.may_be_woken || other.may_be_woken,
        }
    }

    fn fmt(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.may_be_woken, "a timeout or another branch of a party"),
            (
                self.guard_may_be_elsewhere,
                "whoever an owned guard was given to",
            ),
            (self.permits_may_be_added, "permits that somebody adds"),
        ];
        let all: Vec<&str> = all
            .iter()
            .filter_map(|(holds, what)| holds.then_some(*what))
            .collect();
        writeln!(f, "  what may still end it: {}", all.join("; "))
    }
}

/// How many are left out of `count`.
fn more(f: &mut fmt::Formatter<'_>, before: &str, count: usize) -> fmt::Result {
    match count.checked_sub(NAMED_MAX) {
        None | Some(0) => Ok(()),
        Some(left_out) => writeln!(f, "{before}{left_out} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::time::Duration;

    use super::{Deadlock, DeadlockParty, Doubts};
    use crate::report::{LockInfo, LockKind, LockUse, LockUser};

    fn lock(kind: LockKind) -> LockUse {
        let at = Location::caller();
        let lock = LockInfo {
            kind,
            name: None,
            made_at: at,
        };
        LockUse {
            lock,
            at,
            behind: Vec::new(),
        }
    }

    fn deadlock(count: usize, kind: LockKind, lasted: Option<Duration>) -> Deadlock {
        let party = DeadlockParty {
            user: LockUser::Thread(None),
            holds: vec![lock(kind)],
            waits: vec![lock(kind)],
        };
        Deadlock {
            parties: vec![party; count],
            lasted,
            doubts: Doubts::default(),
        }
    }

    #[test]
    fn one_party_is_helped_by_what_it_waits_for_and_told_that_it_lasts() {
        let text = deadlock(1, LockKind::Mutex, None).to_string();
        assert!(text.contains("drop the first guard"), "{text}");
        assert!(!text.contains("upgraded"), "{text}");
        assert!(text.contains("taken at"), "{text}");
        assert!(text.contains("it will not end by itself"), "{text}");
        assert!(!text.contains("one order"), "{text}");
        let text = deadlock(1, LockKind::RwLock, None).to_string();
        assert!(text.contains("cannot be upgraded"), "{text}");
        let text = deadlock(1, LockKind::Semaphore, None).to_string();
        assert!(text.contains("acquire_many"), "{text}");
    }

    #[test]
    fn what_may_still_end_it_is_named() {
        let mut deadlock = deadlock(2, LockKind::Mutex, Some(Duration::from_secs(1)));
        deadlock.doubts.may_be_woken = true;
        deadlock.doubts.permits_may_be_added = true;
        let text = deadlock.to_string();
        let line = "  what may still end it: a timeout or another branch of a party; permits that \
                    somebody adds\n";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("by itself"), "{text}");
        assert!(text.contains("one order"), "{text}");
    }

    #[test]
    fn of_a_thousand_ten_are_named() {
        let mut deadlock = deadlock(1_000, LockKind::Mutex, None);
        let many = deadlock.parties[0].waits[0].clone();
        deadlock.parties[0].waits = vec![many.clone(); 1_000];
        deadlock.parties[0].holds = vec![many; 1_000];
        let text = deadlock.to_string();
        assert!(text.contains("1000 wait for each other"), "{text}");
        assert!(text.contains("\n  990 more\n"), "{text}");
        assert!(text.contains("\n    waits for 990 more\n"), "{text}");
        assert!(text.lines().count() < 100, "{text}");
    }
}
