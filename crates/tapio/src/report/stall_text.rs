//! How a stall is printed.

use std::fmt;
use std::time::Duration;

use super::stall::{Culprit, Rescue, Stall, StallCause, StallEnded};
use super::words::Many;

impl fmt::Display for Culprit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Culprit::Task(task) => task.fmt(f),
            Culprit::BlockOn(at) => write!(f, "the future given to block_on at {at}"),
            Culprit::Callback(at) => write!(f, "the callback given at {at}"),
            Culprit::Waker => f.write_str("a waker that is no task's"),
            Culprit::Hook(name) => write!(f, "the {name} hook"),
        }
    }
}

impl fmt::Display for StallCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StallCause::Computing => f.write_str("computing"),
            StallCause::Blocked(Some(call)) => write!(f, "blocked in the system call {call}"),
            StallCause::Blocked(None) => f.write_str("blocked in the kernel"),
            StallCause::NotRunning => f.write_str("without using a CPU"),
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number;
        if self.repeats > 0 {
            return write!(
                f,
                "stall {number}: {} at the same place{}, the longest of {} ms{}, the last by {}",
                Many(self.repeats, "more stall"),
                Place(self.place()),
                self.lasted.as_millis(),
                if self.is_open { " so far" } else { "" },
                self.culprit,
            );
        }
        let goes_on = if self.was_reported { " goes on" } else { "" };
        write!(
            f,
            "stall {number}{goes_on}: {} has kept {}",
            self.culprit, self.role
        )?;
        if let Some(runtime) = &self.runtime {
            write!(f, " of runtime {runtime:?}")?;
        }
        write!(f, " for {} ms, ", self.lasted.as_millis())?;
        if self.is_unchanged {
            f.write_str("still ")?;
        }
        write!(f, "{}", self.cause)?;
        if self.cpu >= Duration::from_millis(1) {
            write!(f, " ({} ms on a CPU)", self.cpu.as_millis())?;
        }
        let circle = self.std_lock.as_ref().filter(|it| !it.circle.is_empty());
        if self.is_unchanged && circle.is_none() {
            return write!(f, "{}", Place(self.place()));
        }
        writeln!(f)?;
        if let Some(circle) = circle {
            writeln!(f, "  {circle}")?;
        }
        match (&self.stack, &self.no_stack) {
            (Some(stack), _) => writeln!(f, "{stack}")?,
            (None, Some(why)) => writeln!(f, "  its stack is not known: {why}")?,
            (None, None) => {}
        }
        match &self.rescue {
            Rescue::Done => {
                writeln!(
                    f,
                    "  rescued: another thread goes on with the other tasks there"
                )?;
            }
            Rescue::NotNeeded if self.is_alone() => {
                return f.write_str("  nothing else waits: the thread is there for this alone");
            }
            Rescue::NotNeeded => {}
            Rescue::Off => writeln!(
                f,
                "  not rescued: this runtime has one thread by choice (`Builder::rescue`)"
            )?,
            Rescue::Failed(why) => writeln!(f, "  not rescued: {why}")?,
        }
        if !self.pinned.is_empty() {
            let count: usize = self.pinned.iter().map(|(_, count)| count).sum();
            let tasks = Many(count as u64, "task");
            write!(f, "  pinned to this thread, so waiting: {tasks}")?;
            match self.pinned[..] {
                [(at, _)] => write!(f, " spawned at {at}")?,
                _ => {
                    for (at, count) in &self.pinned {
                        write!(f, ", {count} spawned at {at}")?;
                    }
                }
            }
            writeln!(f)?;
        }
        write!(f, "  help: {}", self.help())
    }
}

impl fmt::Display for StallEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "stall {} over after {} ms: {} on {}{}",
            self.number,
            self.lasted.as_millis(),
            self.culprit,
            self.role,
            Place(self.place.clone()),
        )
    }
}

struct Place(Option<String>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::time::Duration;

    use super::{Culprit, Rescue, Stall, StallCause, StallEnded};

    /// A stall on a thread, by what became of everything else there.
    fn stall(at: &'static Location<'static>, rescue: Rescue) -> Stall {
        Stall {
            number: 7,
            culprit: Culprit::Callback(at),
            cause: StallCause::Computing,
            lasted: Duration::from_millis(12),
            cpu: Duration::from_micros(800),
            was_reported: false,
            is_unchanged: false,
            std_lock: None,
            role: "worker 1".into(),
            thread: None,
            runtime: None,
            rescue,
            pinned: Vec::new(),
            stack: None,
            no_stack: Some("a test has none".into()),
            repeats: 0,
            is_open: false,
        }
    }

    #[test]
    fn a_stall_and_its_end_have_one_number() {
        let at = Location::caller();
        let rescued = stall(at, Rescue::Done);
        let expected = format!(
            "stall 7: the callback given at {at} has kept worker 1 for 12 ms, computing
  its stack is not known: a test has none
  rescued: another thread goes on with the other tasks there
  help: compute with tapio::cpu::spawn, or give way between steps with tapio::task::yield_now().await"
        );
        assert_eq!(rescued.to_string(), expected);
        let ended = StallEnded::new(rescued.clone(), Duration::from_millis(2_003));
        let expected =
            format!("stall 7 over after 2003 ms: the callback given at {at} on worker 1");
        assert_eq!(ended.to_string(), expected);
        let repeated = Stall {
            repeats: 1,
            is_open: true,
            ..rescued
        };
        let expected = format!(
            "stall 7: 1 more stall at the same place, the longest of 12 ms so far, the last by \
             the callback given at {at}"
        );
        assert_eq!(repeated.to_string(), expected);
    }

    #[test]
    fn one_that_goes_on_as_it_was_is_one_line() {
        let at = Location::caller();
        let unchanged = Stall {
            lasted: Duration::from_secs(10),
            cpu: Duration::from_millis(9_700),
            was_reported: true,
            is_unchanged: true,
            ..stall(at, Rescue::Done)
        };
        let expected = format!(
            "stall 7 goes on: the callback given at {at} has kept worker 1 for 10000 ms, still \
             computing (9700 ms on a CPU)"
        );
        assert_eq!(unchanged.to_string(), expected);
    }

    #[test]
    fn where_nobody_waits_that_is_said_and_no_help_is_needed() {
        let at = Location::caller();
        let alone = stall(at, Rescue::NotNeeded);
        assert!(alone.is_alone());
        let expected = format!(
            "stall 7: the callback given at {at} has kept worker 1 for 12 ms, computing
  its stack is not known: a test has none
  nothing else waits: the thread is there for this alone"
        );
        assert_eq!(alone.to_string(), expected);
        let pinning = Stall {
            pinned: vec![(at, 1)],
            ..alone
        };
        assert!(!pinning.is_alone());
        let text = pinning.to_string();
        let pinned = format!("\n  pinned to this thread, so waiting: 1 task spawned at {at}\n");
        assert!(text.contains(&pinned) && text.contains("help: "), "{text}");
    }
}
