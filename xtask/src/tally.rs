//! Counting tests by what their runners print.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were skipped, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// The names of what failed, with the run they failed in.
    pub(crate) failures: Vec<String>,
    /// What was left out, one line each.
    pub(crate) skips: Vec<String>,
}

/// Reads the output of test programs, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    tally: Tally,
    /// Since the last result line: what a program that never writes one, as it
    /// crashed or hung, had done until then.
    passed_since: usize,
    failed_since: usize,
    /// Tests that libtest says run for long.
    slow: Vec<String>,
}

impl Reader {
    /// Takes one line of `cargo test`'s output into account.
    ///
    /// libtest's `ignored` are our skipped.
    pub(crate) fn read_line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.read_result(result);
        } else if let Some(rest) = line.strip_prefix("test ") {
            if let Some((name, _)) = rest.split_once(" has been running for over") {
                self.slow.push(name.to_owned());
            } else if let Some((name, outcome)) = rest.rsplit_once(" ... ") {
                self.slow.retain(|slow| slow != name);
                if outcome == "FAILED" {
                    self.failed_since += 1;
                    self.tally.failures.push(name.to_owned());
                } else if outcome == "ok" {
                    self.passed_since += 1;
                }
            }
        }
    }

    fn read_result(&mut self, result: &str) {
        for part in result.split(&['.', ';'][..]) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) =
                (words.next().map(str::parse::<usize>), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.tally.passed += count,
                "failed" => self.tally.failed += count,
                "ignored" => self.tally.skipped += count,
                _ => {}
            }
        }
        self.passed_since = 0;
        self.failed_since = 0;
        self.slow.clear();
    }

    /// What was counted, and the tests that were still running at the end.
    pub(crate) fn finish(mut self) -> (Tally, Vec<String>) {
        self.tally.passed += self.passed_since;
        self.tally.failed += self.failed_since;
        (self.tally, self.slow)
    }
}

impl Tally {
    /// Counts a step that is not made of tests and did not succeed.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.failed += 1;
        self.failures.push(what.into());
    }

    /// Counts something left out as a whole.
    pub(crate) fn skip(&mut self, what: impl Into<String>) {
        self.skipped += 1;
        self.skips.push(what.into());
    }

    /// Prints what failed and what was skipped, then the closing line.
    pub(crate) fn close(&self) -> Result<(), String> {
        if !self.skips.is_empty() {
            println!("\nskipped:");
            for skip in &self.skips {
                println!("  {skip}");
            }
        }
        if !self.failures.is_empty() {
            println!("\nfailed:");
            for failure in &self.failures {
                println!("  {failure}");
            }
        }
        println!("\n{self}");
        if self.failed > 0 {
            return Err(String::new());
        }
        if self.passed == 0 {
            return Err("no test ran".to_owned());
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Tally};

    fn read(lines: &[&str]) -> (Tally, Vec<String>) {
        let mut reader = Reader::default();
        for line in lines {
            reader.read_line(line);
        }
        reader.finish()
    }

    #[test]
    fn results_of_several_programs_add_up() {
        let (tally, slow) = read(&[
            "running 3 tests",
            "test net::tcp::echo ... ok",
            "test net::tcp::slow has been running for over 60 seconds",
            "test net::tcp::peek ... FAILED",
            "test net::tcp::slow ... ok",
            "test result: FAILED. 4 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.02s",
            "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s",
        ]);
        assert_eq!(tally.to_string(), "13 passed, 1 failed, 2 skipped");
        assert_eq!(tally.failures, ["net::tcp::peek"]);
        assert!(slow.is_empty());
    }

    #[test]
    fn what_was_done_before_a_crash_counts() {
        let (tally, slow) = read(&[
            "test a ... ok",
            "test b - should panic ... ok",
            "test c has been running for over 60 seconds",
        ]);
        assert_eq!(tally.to_string(), "2 passed, 0 failed, 0 skipped");
        assert_eq!(slow, ["c"]);
    }
}
