//! Who can never go on: the question, freed of everything else.
//!
//! A user that waits for nothing may release what it holds at some time; so
//! may one of whose waits can be met with what such users hold. What is left
//! when no more waits can be met is stuck. Those of them that wait for one
//! another in a circle are the deadlock; the others merely wait for it.

/// Users of locks and the locks that they wait for, by number.
#[derive(Debug, Default)]
pub(super) struct Knot {
    /// What each user waits for; it goes on when any one wait is met.
    pub(super) waits: Vec<Vec<Want>>,
    pub(super) locks: Vec<Stock>,
}

/// A wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) lock: usize,
    /// How many permits must be free at once: the most that it or anybody
    /// before it in line asks for, since nobody is passed over.
    pub(super) permits: usize,
}

/// A lock.
#[derive(Clone, Debug, Default)]
pub(super) struct Stock {
    pub(super) total: usize,
    /// How many of its permits are held by which user that waits.
    pub(super) held: Vec<(usize, usize)>,
}

impl Knot {
    /// Those that wait for one another in a circle with `start` and can never
    /// go on, `start` first.
    pub(super) fn around(&self, start: usize) -> Option<Vec<usize>> {
        let stuck = self.stuck();
        if !stuck[start] {
            return None;
        }
        let waits_on: Vec<Vec<usize>> = (0..stuck.len())
            .map(|user| self.waits_on(user, &stuck))
            .collect();
        let mut waited_by = vec![Vec::new(); stuck.len()];
        for (user, others) in waits_on.iter().enumerate() {
            for other in others {
                waited_by[*other].push(user);
            }
        }
        let ahead = reach(start, &waits_on);
        let back = reach(start, &waited_by);
        if !ahead.contains(&start) {
            return None;
        }
        let others = ahead.into_iter().filter(|user| *user != start);
        let mut circle = vec![start];
        circle.extend(others.filter(|user| back.contains(user)));
        Some(circle)
    }

    fn stuck(&self) -> Vec<bool> {
        let mut stuck = vec![true; self.waits.len()];
        loop {
            let freed: Vec<usize> = (0..stuck.len())
                .filter(|user| stuck[*user])
                .filter(|user| {
                    self.waits[*user]
                        .iter()
                        .any(|want| self.is_met(want, &stuck))
                })
                .collect();
            if freed.is_empty() {
                return stuck;
            }
            for user in freed {
                stuck[user] = false;
            }
        }
    }

    /// Whether there will be permits enough when all who can go on have
    /// released theirs.
    fn is_met(&self, want: &Want, stuck: &[bool]) -> bool {
        let lock = &self.locks[want.lock];
        let kept: usize = lock
            .held
            .iter()
            .filter(|(user, _)| stuck[*user])
            .map(|(_, permits)| permits)
            .sum();
        // What asks for more than there ever was counts on others to add it.
        want.permits > lock.total || want.permits <= lock.total.saturating_sub(kept)
    }

    /// The stuck users that a stuck user waits for.
    fn waits_on(&self, user: usize, stuck: &[bool]) -> Vec<usize> {
        if !stuck[user] {
            return Vec::new();
        }
        let held = self.waits[user]
            .iter()
            .flat_map(|want| &self.locks[want.lock].held);
        held.map(|(holder, _)| *holder)
            .filter(|holder| stuck[*holder])
            .collect()
    }
}

/// All that `next` leads to from `start`, in the order of their distance;
/// `start` itself only if there is a way back to it.
fn reach(start: usize, next: &[Vec<usize>]) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    let mut is_found = vec![false; next.len()];
    let mut from = Some(start);
    let mut read = 0;
    while let Some(user) = from {
        for other in &next[user] {
            if !std::mem::replace(&mut is_found[*other], true) {
                found.push(*other);
            }
        }
        from = found.get(read).copied();
        read += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Knot, Stock, Want};

    fn lock(total: usize, held: &[(usize, usize)]) -> Stock {
        Stock {
            total,
            held: held.to_vec(),
        }
    }

    fn wants(lists: &[&[(usize, usize)]]) -> Vec<Vec<Want>> {
        lists
            .iter()
            .map(|list| {
                list.iter()
                    .map(|(lock, permits)| Want {
                        lock: *lock,
                        permits: *permits,
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_circle_is_told_from_those_that_wait_for_it() {
        let knot = Knot {
            waits: wants(&[&[(1, 1)], &[(0, 1)], &[(0, 1)]]),
            locks: vec![lock(1, &[(0, 1)]), lock(1, &[(1, 1)])],
        };
        assert_eq!(knot.around(0), Some(vec![0, 1]));
        assert_eq!(knot.around(1), Some(vec![1, 0]));
        assert_eq!(knot.around(2), None);
    }

    #[test]
    fn one_that_waits_twice_is_stuck_only_if_both_waits_are() {
        let knot = Knot {
            waits: wants(&[&[(1, 1), (2, 1)], &[(0, 1)]]),
            locks: vec![lock(1, &[(0, 1)]), lock(1, &[(1, 1)]), lock(1, &[])],
        };
        assert_eq!(knot.around(0), None);
    }

    #[test]
    fn one_holder_that_can_go_on_is_enough() {
        let all_wait = Knot {
            waits: wants(&[&[(0, 1)], &[(0, 1)]]),
            locks: vec![lock(2, &[(0, 1), (1, 1)])],
        };
        assert_eq!(all_wait.around(0), Some(vec![0, 1]));
        let one_does_not = Knot {
            waits: wants(&[&[(0, 1)], &[(0, 1)]]),
            locks: vec![lock(3, &[(0, 1), (1, 1)])],
        };
        assert_eq!(one_does_not.around(0), None);
    }

    fn any_knot() -> impl Strategy<Value = Knot> {
        let stock = (
            1_usize..4,
            prop::collection::vec((0_usize..6, 1_usize..3), 0..4),
        );
        let want = (0_usize..4, 1_usize..4);
        let waits = prop::collection::vec(prop::collection::vec(want, 1..3), 6);
        (prop::collection::vec(stock, 4), waits).prop_map(|(locks, waits)| Knot {
            waits: waits
                .iter()
                .map(|list| {
                    list.iter()
                        .map(|(lock, permits)| Want {
                            lock: *lock,
                            permits: *permits,
                        })
                        .collect()
                })
                .collect(),
            locks: locks
                .into_iter()
                .map(|(total, held)| Stock { total, held })
                .collect(),
        })
    }

    /// Whether a set of users can keep one another from going on, by the
    /// definition: none has a wait that could be met without them.
    fn is_closed(knot: &Knot, set: u32) -> bool {
        (0..knot.waits.len())
            .filter(|user| set & (1 << user) != 0)
            .all(|user| {
                knot.waits[user].iter().all(|want| {
                    let lock = &knot.locks[want.lock];
                    let kept: usize = lock
                        .held
                        .iter()
                        .filter(|(holder, _)| set & (1 << holder) != 0)
                        .map(|(_, permits)| *permits)
                        .sum();
                    want.permits <= lock.total && want.permits + kept > lock.total
                })
            })
    }

    proptest! {
        #[test]
        fn what_is_stuck_is_the_largest_closed_set(knot in any_knot()) {
            let largest = (0_u32..64)
                .filter(|set| is_closed(&knot, *set))
                .fold(0, |union, set| union | set);
            for (user, is_stuck) in knot.stuck().into_iter().enumerate() {
                prop_assert_eq!(is_stuck, largest & (1 << user) != 0);
            }
        }

        #[test]
        fn a_circle_is_the_same_from_each_of_its_members(knot in any_knot()) {
            for user in 0..knot.waits.len() {
                let Some(mut circle) = knot.around(user) else { continue };
                circle.sort_unstable();
                for other in circle.clone() {
                    let mut same = knot.around(other).expect("a member is in its circle");
                    same.sort_unstable();
                    prop_assert_eq!(&same, &circle);
                }
            }
        }
    }
}
