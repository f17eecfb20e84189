//! A limit that was reached.

use std::borrow::Cow;
use std::fmt;

/// A limit was reached, and what comes now waits or is refused.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LimitHit {
    /// The limit's name: the function of a builder that sets it, if one does.
    pub name: &'static str,
    /// How much it allows.
    pub max: usize,
    /// What follows from it.
    pub consequence: Cow<'static, str>,
}

impl LimitHit {
    pub(crate) fn new(
        name: &'static str,
        max: usize,
        consequence: impl Into<Cow<'static, str>>,
    ) -> LimitHit {
        LimitHit {
            name,
            max,
            consequence: consequence.into(),
        }
    }
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}) reached: {}",
            self.name, self.max, self.consequence
        )
    }
}
