//! Which locks of the standard library stuck threads wait for, and whether
//! some of them wait for each other.

use super::copying::Copied;
use crate::report::{Culprit, StdLock, StdLockParty};
use crate::stack::Stack;
use crate::thread_state::{Wait, wait_of};

/// Threads that are remembered, each with what is on its stack.
const WAITING_MAX: usize = 32;

/// Stuck threads that wait for such a lock. Relations are by what is on their
/// stacks: a guard is the address of its lock, and so is a reference, which is
/// why a circle counts only if none of it has moved.
#[derive(Default)]
pub(super) struct StdLocks(Vec<Waiting>);

struct Waiting {
    /// Of the stall.
    number: u64,
    tid: i32,
    wait: Wait,
    lock: StdLockParty,
    /// What is on its stack, in order.
    words: Vec<u64>,
    is_reported: bool,
}

impl StdLocks {
    /// A thread has been stuck for long: the lock that it waits for, if it
    /// does.
    pub(super) fn note(
        &mut self,
        number: u64,
        tid: i32,
        copied: &Copied,
        stack: &Stack,
        (culprit, role): (&Culprit, &str),
    ) -> Option<StdLock> {
        self.forget(number);
        let wait = copied.wait.filter(|wait| {
            let call = wait.syscall;
            call.is_some_and(|call| call.is_lock())
        })?;
        let mut inside = stack.inside().filter_map(|frame| frame.function.as_deref());
        let kind = inside.find_map(kind_of)?;
        let mut words = copied.raw.words.to_vec();
        words.sort_unstable();
        words.dedup();
        let address = address_of(kind, &wait, &words);
        let place = stack.top_user_frame().and_then(|frame| frame.place());
        let waiting = Waiting {
            number,
            tid,
            wait,
            lock: StdLockParty {
                culprit: culprit.clone(),
                role: role.to_owned(),
                kind,
                address,
                place,
            },
            words,
            is_reported: false,
        };
        if self.0.len() < WAITING_MAX {
            self.0.push(waiting);
        }
        Some(StdLock {
            kind,
            address,
            circle: self.circle_of(number),
        })
    }

    /// It is over, or waits for something else.
    pub(super) fn forget(&mut self, number: u64) {
        self.0.retain(|waiting| waiting.number != number);
    }

    /// The others of a circle that the stall with this number is in, if there
    /// is one that was not reported yet.
    fn circle_of(&mut self, number: u64) -> Vec<StdLockParty> {
        let Some(first) = self.0.iter().position(|it| it.number == number) else {
            return Vec::new();
        };
        let mut path = vec![first];
        let mut seen = vec![false; self.0.len()];
        seen[first] = true;
        if !self.goes_round(first, &mut path, &mut seen) || path.len() < 2 {
            return Vec::new();
        }
        let is_new = path.iter().all(|&index| !self.0[index].is_reported);
        let still_waits = |&index: &usize| {
            let waiting = &self.0[index];
            matches!(wait_of(waiting.tid), Ok(Some(wait)) if wait == waiting.wait)
        };
        if !is_new || !path.iter().all(still_waits) {
            return Vec::new();
        }
        for &index in &path {
            self.0[index].is_reported = true;
        }
        let others = path[1..].iter().map(|&index| self.0[index].lock.clone());
        others.collect()
    }

    /// Whether the way from the last of `path`, by who may hold what each
    /// waits for, leads back to `first`; adds it to `path`.
    fn goes_round(&self, first: usize, path: &mut Vec<usize>, seen: &mut [bool]) -> bool {
        let wanted = self.0[path[path.len() - 1]].lock.address;
        for (index, other) in self.0.iter().enumerate() {
            let may_hold =
                other.lock.address != wanted && other.words.binary_search(&wanted).is_ok();
            if !may_hold {
                continue;
            }
            if index == first {
                return true;
            }
            if !seen[index] {
                seen[index] = true;
                path.push(index);
                if self.goes_round(first, path, seen) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
}

/// The lock whose function this is, which waits for it.
fn kind_of(function: &str) -> Option<&'static str> {
    // `<type>::function`, as some compilers name it.
    let function = function.trim_start_matches('<');
    let function = function.strip_prefix("std::sys::sync::")?;
    let is_of = |lock, functions: &[&str]| {
        let is_waiting = |last| function.ends_with(last);
        function.starts_with(lock) && functions.iter().any(is_waiting)
    };
    if is_of("mutex::", &["::lock_contended"]) {
        Some("Mutex")
    } else if is_of("rwlock::", &["::read_contended", "::write_contended"]) {
        Some("RwLock")
    } else {
        None
    }
}

/// Where the lock is: at the word that is waited at, or, for who would write to
/// an `RwLock`, just before that; then it has that on its stack.
fn address_of(kind: &str, wait: &Wait, words: &[u64]) -> u64 {
    let word = wait.arguments[0];
    let before = word.wrapping_sub(4);
    if kind == "RwLock" && words.binary_search(&before).is_ok() {
        before
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::kind_of;

    #[test]
    fn a_lock_is_known_by_the_function_that_waits() {
        for mutex in [
            "std::sys::sync::mutex::futex::Mutex::lock_contended",
            "<std::sys::sync::mutex::futex::Mutex>::lock_contended",
        ] {
            assert_eq!(kind_of(mutex), Some("Mutex"));
        }
        for function in ["read_contended", "write_contended"] {
            let function = format!("std::sys::sync::rwlock::futex::RwLock::{function}");
            assert_eq!(kind_of(&function), Some("RwLock"));
        }
        for other in [
            "std::sys::sync::condvar::futex::Condvar::wait",
            "parking_lot::raw_mutex::RawMutex::lock_slow",
            "app::lock_contended",
        ] {
            assert_eq!(kind_of(other), None, "{other}");
        }
    }
}
