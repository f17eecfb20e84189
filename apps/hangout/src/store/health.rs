//! What stands in the way of storing, and the one line of log that each kind of it gets.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Span;

/// The kinds of failure, each logged once however many requests it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The path does not name the open file any more.
    Gone,
    /// Something could not be stored: the disk is full, for instance.
    Write,
    /// Something that was stored could not be read.
    Read,
}

/// A kind that comes and goes is not logged more often than this.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The failures of one database, shared by its threads.
#[derive(Debug)]
pub(super) struct Health {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    standing: [Standing; 3],
    /// The read that failed, to be tried again: until it succeeds nothing is stored.
    failed_read: Option<FailedRead>,
}

#[derive(Debug, Default)]
struct Standing {
    /// Since when it fails, and how many requests that has met.
    failing: Option<(Instant, u64)>,
    /// When it was last logged.
    said: Option<Instant>,
    is_said: bool,
}

/// A page of history that could not be read.
#[derive(Debug, Clone)]
pub(super) struct FailedRead {
    pub(super) room: String,
    pub(super) span: Span,
    pub(super) limit: usize,
}

impl Health {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            state: Mutex::default(),
        }
    }

    /// Notes a failure, and logs it if it is the first of its kind.
    pub(super) fn fails(&self, kind: Kind, why: &str) {
        let mut state = self.lock();
        let standing = &mut state.standing[kind as usize];
        if let Some((_, met)) = &mut standing.failing {
            *met += 1;
            return;
        }
        let now = Instant::now();
        standing.failing = Some((now, 1));
        standing.is_said = standing
            .said
            .is_none_or(|said| now - said >= SAID_AGAIN_AFTER);
        if standing.is_said {
            standing.said = Some(now);
            let database = self.path.display();
            let effect = match kind {
                Kind::Gone => "nothing is stored until it is back",
                Kind::Write => "what could not be stored was refused",
                Kind::Read => "nothing is stored until it can be read",
            };
            tracing::error!(%database, "{why}; {effect}");
        }
    }

    /// Notes a read that failed.
    pub(super) fn read_fails(&self, read: FailedRead, why: &str) {
        self.fails(Kind::Read, why);
        self.lock().failed_read.get_or_insert(read);
    }

    /// Notes that this kind of failure is over, if there was one.
    pub(super) fn works(&self, kind: Kind) {
        let mut state = self.lock();
        if kind == Kind::Read {
            state.failed_read = None;
        }
        let standing = &mut state.standing[kind as usize];
        if let Some((since, met)) = standing.failing.take()
            && standing.is_said
        {
            let (database, after) = (self.path.display(), since.elapsed());
            let what = match kind {
                Kind::Gone => "the database's files are back",
                Kind::Write => "storing works again",
                Kind::Read => "reading works again",
            };
            tracing::warn!(%database, failures = met, "{what} after {after:.1?}");
        }
    }

    pub(super) fn is_failing(&self, kind: Kind) -> bool {
        self.lock().standing[kind as usize].failing.is_some()
    }

    pub(super) fn failed_read(&self) -> Option<FailedRead> {
        self.lock().failed_read.clone()
    }

    /// The state stays sound if a thread panics: each change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
