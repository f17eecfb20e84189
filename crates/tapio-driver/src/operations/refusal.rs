//! Why there is no ring.

use std::fmt;

/// What was refused and why; `Display` is one clause for a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    pub(super) fn new(why: String) -> Refusal {
        Refusal(why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
