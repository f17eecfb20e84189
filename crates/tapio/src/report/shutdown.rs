//! A runtime ends, and something on it does not.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::words::Many;

/// A runtime was told to end, and threads of it still run something.
///
/// Reported when the deadline of
/// [`shutdown_timeout`](crate::runtime::Runtime::shutdown_timeout) passes, and
/// once while dropping a runtime, which waits without a deadline, takes long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownWaits {
    /// The runtime's name, if [`Builder::name`](crate::runtime::Builder::name)
    /// gave it one.
    pub runtime: Option<Arc<str>>,
    /// How long it was waited for.
    pub waited: Duration,
    /// Whether that was all: what is listed here is left to itself. Otherwise
    /// it is still waited for.
    pub is_deadline: bool,
    /// Tasks that are being polled or dropped: where they were spawned, and
    /// how many from there; most first.
    pub tasks: Vec<(&'static Location<'static>, usize)>,
    /// Blocking calls that have begun and not ended, by the same rule.
    pub blocking_calls: Vec<(&'static Location<'static>, usize)>,
    /// Threads that run neither: a function given to the runtime's builder, or
    /// a waker that is no task's.
    pub others: usize,
}

/// So many places are printed, of tasks and of blocking calls each.
const LINES_MAX: usize = 8;

/// The same places together, most first.
pub(crate) fn by_site(
    sites: impl IntoIterator<Item = &'static Location<'static>>,
) -> Vec<(&'static Location<'static>, usize)> {
    let mut counts = HashMap::new();
    for site in sites {
        *counts.entry(site).or_insert(0_usize) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(site, count)| (std::cmp::Reverse(count), site));
    counts
}

impl ShutdownWaits {
    /// Whether there is anything to say.
    pub(crate) fn has_any(&self) -> bool {
        !self.tasks.is_empty() || !self.blocking_calls.is_empty() || self.others > 0
    }

    fn help(&self) -> &'static str {
        if !self.blocking_calls.is_empty() {
            "have long blocking calls look at a flag or a channel that says when to end; \
             Runtime::shutdown_timeout bounds the wait"
        } else if !self.tasks.is_empty() {
            "tasks end at an .await: one that computes or blocks belongs into \
             task::spawn_blocking, or must yield"
        } else {
            "the functions given to the runtime's Builder should return soon"
        }
    }
}

impl fmt::Display for ShutdownWaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shutdown: ")?;
        match &self.runtime {
            Some(name) => write!(f, "runtime {name:?}")?,
            None => f.write_str("a runtime")?,
        }
        let waited = self.waited.as_millis();
        if self.is_deadline {
            write!(f, " is left behind after {waited} ms with")?;
        } else {
            write!(f, " is still waited for after {waited} ms, with")?;
        }
        let counts = [
            (total(&self.tasks), "task"),
            (total(&self.blocking_calls), "blocking call"),
            (self.others, "other thread"),
        ];
        let mut separator = " ";
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{}", Many(count as u64, what))?;
            separator = ", ";
        }
        f.write_str(" still running")?;
        list(f, "task", &self.tasks)?;
        list(f, "blocking call", &self.blocking_calls)?;
        write!(f, "\n  help: {}", self.help())
    }
}

fn total(sites: &[(&'static Location<'static>, usize)]) -> usize {
    sites.iter().map(|(_, count)| count).sum()
}

fn list(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    sites: &[(&'static Location<'static>, usize)],
) -> fmt::Result {
    let (shown, rest) = sites.split_at(sites.len().min(LINES_MAX));
    for (at, count) in shown {
        write!(f, "\n  {} spawned at {at}", Many(*count as u64, what))?;
    }
    if !rest.is_empty() {
        let more = format!("more {what}");
        let (more, places) = (Many(total(rest) as u64, &more), rest.len() as u64);
        write!(f, "\n  {more} spawned at {}", Many(places, "other place"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::time::Duration;

    use super::{LINES_MAX, ShutdownWaits, by_site};

    #[test]
    fn places_come_together_most_first_and_not_too_many() {
        let (one, two) = (Location::caller(), Location::caller());
        assert_eq!(by_site([one, two, two]), [(two, 2), (one, 1)]);

        let mut waits = ShutdownWaits {
            runtime: Some("chat".into()),
            waited: Duration::from_millis(20),
            is_deadline: true,
            tasks: Vec::new(),
            blocking_calls: vec![(one, 3), (two, 1)],
            others: 0,
        };
        let text = waits.to_string();
        let first = format!("  3 blocking calls spawned at {one}\n");
        assert!(
            text.contains("with 4 blocking calls still running"),
            "{text}"
        );
        assert!(text.contains(&first), "{text}");
        waits.blocking_calls = vec![(one, 1); LINES_MAX + 3];
        let text = waits.to_string();
        assert_eq!(text.lines().count(), LINES_MAX + 3, "{text}");
        assert!(
            text.contains("3 more blocking calls spawned at 3 other places"),
            "{text}"
        );
    }
}
