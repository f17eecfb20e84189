//! Numbers as reports print them.

use std::fmt;
use std::time::Duration;

/// A time in two digits or three.
pub(super) struct Brief(pub(super) Duration);

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match seconds {
            _ if seconds >= 10.0 => write!(f, "{seconds:.0} s"),
            _ if seconds >= 1.0 => write!(f, "{seconds:.1} s"),
            _ if seconds >= 0.01 => write!(f, "{:.0} ms", seconds * 1e3),
            _ if seconds >= 0.001 => write!(f, "{:.1} ms", seconds * 1e3),
            _ => write!(f, "{:.0} µs", seconds * 1e6),
        }
    }
}

pub(super) struct Percent(pub(super) f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        match percent {
            _ if percent >= 9.95 => write!(f, "{percent:.0} %"),
            _ if percent >= 0.05 || percent == 0.0 => write!(f, "{percent:.1} %"),
            _ => f.write_str("below 0.1 %"),
        }
    }
}

/// A number with its thousands set apart.
pub(super) struct Number(pub(super) u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// So many of something, by the name of one: `1 task`, `12 tasks`. What comes
/// before the noun stays as it is.
pub(super) struct Many<'a>(pub(super) u64, pub(super) &'a str);

impl fmt::Display for Many<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Many(count, what) = *self;
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{} {what}{plural}", Number(count))
    }
}

/// A place in a row: `1st`, `22nd`, `113th`.
pub(super) struct Nth(pub(super) u64);

impl fmt::Display for Nth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match (self.0 % 10, self.0 % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        write!(f, "{}{end}", Number(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Brief, Many, Nth, Number, Percent};

    #[test]
    fn numbers_are_short() {
        let text = |micros| Brief(Duration::from_micros(micros)).to_string();
        let texts = [7, 2_000, 45_600, 1_830_000, 12_300_000].map(text);
        assert_eq!(texts, ["7 µs", "2.0 ms", "46 ms", "1.8 s", "12 s"]);
        let texts = [0, 999, 1_000, 12_345_678].map(|count| Number(count).to_string());
        assert_eq!(texts, ["0", "999", "1,000", "12,345,678"]);
        let texts = [0.0, 0.0001, 0.034, 0.71].map(|part| Percent(part).to_string());
        assert_eq!(texts, ["0.0 %", "below 0.1 %", "3.4 %", "71 %"]);
    }

    #[test]
    fn one_is_no_plural() {
        let texts = [0, 1, 2, 1_200].map(|count| Many(count, "task").to_string());
        assert_eq!(texts, ["0 tasks", "1 task", "2 tasks", "1,200 tasks"]);
        let texts = [1, 2, 3, 4, 11, 12, 13, 21, 32, 113, 1_023].map(|n| Nth(n).to_string());
        let expected = [
            "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "32nd",
        ];
        assert_eq!(texts[..9], expected);
        assert_eq!(texts[9..], ["113th", "1,023rd"]);
    }
}
