//! The guard was kept from looking.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Culprit;

/// The guard itself was held up, and something that ran before was over when
/// it came back: a stall, perhaps, that nobody was rescued from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuardHeldUp {
    /// What ran before.
    pub culprit: Culprit,
    /// What its thread is to the runtime: `worker 1`, `block_on`.
    pub role: String,
    /// The runtime's name, if [`Builder::name`](crate::runtime::Builder::name)
    /// gave it one.
    pub runtime: Option<Arc<str>>,
    /// How long it went on at the most.
    pub lasted_max: Duration,
    /// How long the guard could not look.
    pub kept: Duration,
}

impl fmt::Display for GuardHeldUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stall, perhaps: {} was on {}", self.culprit, self.role)?;
        if let Some(runtime) = &self.runtime {
            write!(f, " of runtime {runtime:?}")?;
        }
        write!(
            f,
            " for up to {} ms; the guard itself was held up for {} ms, and it was over when the \
             guard came back: nobody was rescued",
            self.lasted_max.as_millis(),
            self.kept.as_millis(),
        )
    }
}
