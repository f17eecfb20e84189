//! What the guard would change, in words and numbers.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::words::{Brief, Many, Number, Percent};

/// Places that are each given a line; the rest is counted.
const LINES_MAX: usize = 20;

/// What the guard would change in a program, from what it saw;
/// [`advice`](crate::guard::advice) gives it.
///
/// It prints as a short text: what asks for a change first, then what is fine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Advice {
    /// The places that were seen, what used most time first.
    pub sites: Vec<SiteAdvice>,
    /// For how long the guard watched any thread.
    pub elapsed: Duration,
    /// The time of all threads that were there to run tasks, in sum.
    pub worker_time: Duration,
    /// Of that, when they ran something.
    pub busy: Duration,
    /// Looks at such threads: what shares are made of.
    pub looks: u64,
    /// Between two looks at a thread, at the most. A poll that was shorter has
    /// no length here.
    pub resolution: Duration,
    /// Whether it was long enough to say anything of shares.
    pub is_enough: bool,
}

/// What the guard saw of the tasks that were spawned at one place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SiteAdvice {
    /// Where they were spawned, `block_on` was called, or the callback given.
    pub location: &'static Location<'static>,
    /// Which of these.
    pub kind: SiteKind,
    /// What to make of it.
    pub verdict: Verdict,
    /// For how long they kept workers, in sum; of a thread that runs no other
    /// tasks, as it was relieved, only the CPU time that they used.
    pub busy: Duration,
    /// That as a part of all threads' time, from 0 to 1.
    pub share: f64,
    /// Looks that met them.
    pub samples: u64,
    /// Polls that were met; shorter ones more seldom than they ran.
    pub polls: u64,
    /// The longest time between two looks that met the same poll, without
    /// what it waited for a CPU: the CPU time that it used and what it waited
    /// in the kernel. Zero if none was met twice.
    pub longest_poll: Duration,
    /// The part of their polls' time that was spent waiting in the kernel, from
    /// 0 to 1.
    pub blocked: f64,
    /// I/O operations that they did: all of them, not only those that were
    /// met. One that would have blocked did nothing.
    pub io: u64,
    /// That for each second.
    pub io_per_second: f64,
    /// Calls that they had made on other threads: `spawn_blocking` and what
    /// is made of it.
    pub offloads: u64,
    /// The lock that they wait for, if they wait mostly for one.
    pub lock_wait: Option<LockWait>,
    pub(crate) resolution: Duration,
}

/// What a place in the source is the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SiteKind {
    /// Tasks were spawned there.
    Tasks,
    /// `block_on` was called there.
    BlockOn,
    /// A callback was given there.
    Callback,
}

/// How long the tasks that were spawned at one place waited for one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockWait {
    /// Where they were spawned.
    pub site: &'static Location<'static>,
    /// The lock's name, or what says which it is.
    pub lock: String,
    /// How often they waited.
    pub waits: u64,
    /// How long, all of them in sum.
    pub waited: Duration,
}

/// What to make of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It computes: async makes that no faster.
    Computes,
    /// Its polls wait in system calls.
    Blocks,
    /// Its tasks wait for one lock more than they run.
    WaitsForLock,
    /// It does I/O or uses little time, but some of its polls are long, and
    /// others wait for them.
    LongPolls,
    /// It does I/O and gives way: what async is for.
    Fine,
    /// It does no I/O itself, and uses little time.
    Quiet,
    /// Too little was seen to say.
    TooLittle,
}

impl Verdict {
    /// Whether there is something to change.
    #[must_use]
    pub fn asks_for_change(self) -> bool {
        match self {
            Verdict::Computes | Verdict::Blocks | Verdict::WaitsForLock | Verdict::LongPolls => {
                true
            }
            Verdict::Fine | Verdict::Quiet | Verdict::TooLittle => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Computes => "computes",
            Verdict::Blocks => "blocks",
            Verdict::WaitsForLock => "waits for a lock",
            Verdict::LongPolls => "has long polls",
            Verdict::Fine => "fine",
            Verdict::Quiet => "quiet",
            Verdict::TooLittle => "too little seen",
        })
    }
}

impl SiteAdvice {
    fn has_long_polls(&self) -> bool {
        self.longest_poll > self.resolution * 2
    }

    /// What was seen, without what to make of it.
    fn figures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.kind {
            SiteKind::Tasks => "tasks spawned at",
            SiteKind::BlockOn => "the future given to block_on at",
            SiteKind::Callback => "the callback given at",
        };
        write!(f, "{whose} {} used ", self.location)?;
        if self.samples == 0 {
            f.write_str("too little time to be met")?;
        } else {
            let share = Percent(self.share);
            write!(f, "{}, {share} of worker time", Brief(self.busy))?;
            if self.longest_poll.is_zero() {
                write!(f, ", no poll seen to last {}", Brief(self.resolution * 2))?;
            } else {
                write!(f, ", longest poll {}", Brief(self.longest_poll))?;
            }
        }
        match self.io {
            0 => f.write_str(", no I/O")?,
            io if self.io_per_second >= 10.0 => {
                let per_second = Number(self.io_per_second.round() as u64);
                write!(f, ", {}, {per_second} a second", Many(io, "I/O operation"))?;
            }
            io => write!(f, ", {}", Many(io, "I/O operation"))?,
        }
        if self.offloads > 0 {
            write!(f, ", {} on other threads", Many(self.offloads, "call"))?;
        }
        Ok(())
    }

    fn finding(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::Computes if self.io == 0 => {
                f.write_str(": this is computation, which async makes no faster")
            }
            Verdict::Computes => {
                let each = self.busy.div_f64(self.io as f64);
                write!(
                    f,
                    ": mostly computation, {} for each operation, which async makes no faster",
                    Brief(each)
                )
            }
            Verdict::Blocks => write!(
                f,
                ": it blocks, {} of its polls' time was spent waiting in the kernel",
                Percent(self.blocked)
            ),
            Verdict::LongPolls => f.write_str(": others wait for a poll so long"),
            _ => Ok(()),
        }
    }

    fn help(&self) -> Option<&'static str> {
        Some(match self.verdict {
            Verdict::Computes if self.has_long_polls() => {
                "compute with tapio::cpu::spawn, on all cores and out of the way of I/O, or give \
                 way between steps with tapio::task::yield_now().await, which is no faster but \
                 lets others run"
            }
            Verdict::Computes => {
                "it gives way, so others hardly wait for it; tapio::cpu::spawn would use all \
                 cores, and leave this one to I/O"
            }
            Verdict::Blocks => {
                "make calls that wait with tapio::task::spawn_blocking, or inside of \
                 tapio::task::block_in_place; sleep with tapio::time::sleep, and hold std locks \
                 for moments only"
            }
            Verdict::WaitsForLock => {
                "hold it for less, and not across other awaits; split what it guards; or give \
                 that to one task and send it messages"
            }
            Verdict::LongPolls => {
                "find the line in the stall reports; compute with tapio::cpu::spawn, make calls \
                 that wait with tapio::task::spawn_blocking"
            }
            Verdict::Fine | Verdict::Quiet | Verdict::TooLittle => return None,
        })
    }
}

impl fmt::Display for SiteAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.verdict == Verdict::Fine {
            f.write_str("fine: ")?;
        }
        self.figures(f)?;
        self.finding(f)?;
        if let Some(wait) = &self.lock_wait {
            write!(
                f,
                "; they waited for the lock {} {}, {} in sum",
                wait.lock,
                Many(wait.waits, "time"),
                Brief(wait.waited)
            )?;
        }
        if let Some(help) = self.help() {
            write!(f, "\n    help: {help}")?;
        }
        Ok(())
    }
}

impl Advice {
    /// The advice about the tasks that were spawned at a line.
    #[must_use]
    pub fn site(&self, file: &str, line: u32) -> Option<&SiteAdvice> {
        self.sites
            .iter()
            .find(|site| site.location.line() == line && site.location.file() == file)
    }

    /// The sites with a verdict, what used most time first.
    fn with(&self, is_wanted: impl Fn(Verdict) -> bool) -> impl Iterator<Item = &SiteAdvice> {
        self.sites
            .iter()
            .filter(move |site| is_wanted(site.verdict))
    }

    fn rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quiet: Vec<_> = self.with(|verdict| verdict == Verdict::Quiet).collect();
        if !quiet.is_empty() {
            let share = quiet.iter().map(|site| site.share).sum();
            let places = Many(quiet.len() as u64, "more place");
            write!(
                f,
                "\n  {places}, {} of worker time together, did no I/O themselves",
                Percent(share)
            )?;
        }
        let computing = self.with(|verdict| verdict == Verdict::Computes);
        let computing: Duration = computing.map(|site| site.busy).sum();
        if !computing.is_zero() {
            let part = computing.as_secs_f64() / self.busy.as_secs_f64();
            write!(
                f,
                "\n  in all, {} of the time in which tasks ran went into computation",
                Percent(part)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let busy = self.busy.as_secs_f64() / self.worker_time.as_secs_f64().max(1e-9);
        write!(
            f,
            "advice: over {}, workers ran tasks {} of the time ({}, one each {} or sooner)",
            Brief(self.elapsed),
            Percent(busy),
            Many(self.looks, "look"),
            Brief(self.resolution),
        )?;
        if !self.is_enough {
            f.write_str("\n  that is too little to say what they do")?;
        }
        let changes = self.with(Verdict::asks_for_change);
        let fine = self.with(|verdict| verdict == Verdict::Fine);
        for site in changes.chain(fine).take(LINES_MAX) {
            write!(f, "\n  {site}")?;
        }
        let count = self
            .with(|verdict| verdict.asks_for_change() || verdict == Verdict::Fine)
            .count();
        if count > LINES_MAX {
            let more = Many((count - LINES_MAX) as u64, "more place");
            write!(f, "\n  not listed: {more}")?;
        }
        self.rest(f)
    }
}
