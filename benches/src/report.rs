//! Lines between the processes: `name value`, one to a line.

use std::{
    collections::BTreeMap,
    fmt::Arguments,
    io::{Write, stdout},
};

/// Prints a line and flushes it: the other end waits for whole lines.
pub(crate) fn say(line: Arguments<'_>) {
    let mut out = stdout().lock();
    // A reader that has gone away takes the result with it; the suite notices.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What one trial measured, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }

    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }

    /// Prints all, a line each.
    pub(crate) fn say(&self) {
        for (name, value) in &self.0 {
            say(format_args!("figure {name} {value}"));
        }
    }

    /// Reads back what [`Figures::say`] printed, skipping other lines.
    pub(crate) fn parse(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            if let (Some("figure"), Some(name), Some(value)) = (
                words.next(),
                words.next(),
                words.next().and_then(|value| value.parse().ok()),
            ) {
                figures.set(name, value);
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn figures_survive_the_pipe() {
        let figures = Figures::parse("ready 127.0.0.1:1\nfigure ns 7.25\nfigure bad x\n");
        assert_eq!(figures.get("ns"), 7.25);
        assert!(figures.get("bad").is_nan());
    }
}
