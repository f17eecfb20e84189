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

impl Tally {
    /// Takes one line of `cargo test`'s output into account.
    ///
    /// Only the result lines of libtest count; its `ignored` are our skipped.
    pub(crate) fn read_line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            for part in result.split(&['.', ';'][..]) {
                let mut words = part.split_whitespace();
                let (Some(count), Some(what)) = (words.next(), words.next()) else {
                    continue;
                };
                let Ok(count) = count.parse::<usize>() else {
                    continue;
                };
                match what {
                    "passed" => self.passed += count,
                    "failed" => self.failed += count,
                    "ignored" => self.skipped += count,
                    _ => {}
                }
            }
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
    }

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
    use super::Tally;

    #[test]
    fn results_of_several_binaries_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test net::tcp::echo ... ok",
            "test net::tcp::peek ... FAILED",
            "test result: FAILED. 4 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.02s",
            "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s",
        ] {
            tally.read_line(line);
        }
        assert_eq!(tally.to_string(), "13 passed, 1 failed, 2 skipped");
        assert_eq!(tally.failures, ["net::tcp::peek"]);
    }
}
