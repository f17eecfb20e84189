//! A limit that was reached.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

use super::words::Many;

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
    /// What uses it up at this moment, if that is known: where it was spawned,
    /// and how many from there; most first, and not all of them.
    pub sites: Vec<(&'static Location<'static>, usize)>,
    /// What to do about it.
    pub help: Option<&'static str>,
}

/// So many places are named.
const SITES_MAX: usize = 5;

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
            sites: Vec::new(),
            help: None,
        }
    }

    /// Names what uses the limit up, most first.
    pub(crate) fn held_by(
        mut self,
        mut sites: Vec<(&'static Location<'static>, usize)>,
    ) -> LimitHit {
        sites.truncate(SITES_MAX);
        self.sites = sites;
        self
    }

    pub(crate) fn with_help(mut self, help: &'static str) -> LimitHit {
        self.help = Some(help);
        self
    }
}

impl fmt::Display for LimitHit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}) reached: {}",
            self.name, self.max, self.consequence
        )?;
        for (at, count) in &self.sites {
            let tasks = Many(*count as u64, "task");
            write!(f, "\n  held by {tasks} spawned at {at}")?;
        }
        match self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}
