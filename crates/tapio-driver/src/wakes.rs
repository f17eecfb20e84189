//! Wakers collected under a lock, to be woken after it.

use std::task::Waker;

/// Wakers to wake once no lock is held: a waker may be anybody's code.
#[derive(Debug, Default)]
pub struct Wakes(Vec<Waker>);

impl Wakes {
    /// None, with room for so many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Wakes {
        Wakes(Vec::with_capacity(count))
    }

    /// Adds one.
    pub fn push(&mut self, waker: Waker) {
        self.0.push(waker);
    }

    /// Adds those there are.
    pub fn extend(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.0.extend(wakers);
    }

    /// How many are collected.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all of them out, in the order in which they came, and keeps the
    /// memory for the next batch.
    pub fn drain(&mut self) -> impl Iterator<Item = Waker> {
        self.0.drain(..)
    }

    /// Wakes all of them in the order in which they came, and keeps the
    /// memory for the next batch.
    pub fn wake_all(&mut self) {
        for waker in self.0.drain(..) {
            waker.wake();
        }
    }
}
