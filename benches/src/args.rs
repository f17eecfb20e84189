//! `--name value` and `--flag`: all that this tool's command line needs.

use std::{collections::BTreeMap, str::FromStr};

/// Flags that take no value.
const FLAGS: &[&str] = &[
    "quick",
    "memory",
    "spin",
    "http",
    "close",
    "no-docs",
    "list",
    "high-priority",
    "realtime",
];

/// A parsed command line: words in order, and named values.
#[derive(Debug, Default, Clone)]
pub(crate) struct Args {
    words: Vec<String>,
    named: BTreeMap<String, String>,
}

impl Args {
    /// Sorts `raw` into words and named values.
    ///
    /// # Errors
    /// A `--name` without its value.
    pub(crate) fn parse(raw: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut raw = raw.into_iter();
        while let Some(word) = raw.next() {
            let Some(name) = word.strip_prefix("--") else {
                args.words.push(word);
                continue;
            };
            let value = if FLAGS.contains(&name) {
                String::from("true")
            } else {
                raw.next()
                    .ok_or_else(|| format!("--{name} needs a value"))?
            };
            args.named.insert(name.to_owned(), value);
        }
        Ok(args)
    }

    /// The words that are no named value, in order.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether `--name` was given.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// The value of `--name`, if it was given.
    ///
    /// # Errors
    /// A value that does not parse.
    pub(crate) fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        self.named
            .get(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| format!("--{name}: cannot read {text:?}"))
            })
            .transpose()
    }

    /// The value of `--name`, or `default`.
    ///
    /// # Errors
    /// A value that does not parse.
    pub(crate) fn get_or<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        Ok(self.get(name)?.unwrap_or(default))
    }

    /// The value of `--name`, which must be there.
    ///
    /// # Errors
    /// A value that is missing or does not parse.
    pub(crate) fn need<T: FromStr>(&self, name: &str) -> Result<T, String> {
        self.get(name)?.ok_or_else(|| format!("--{name} is needed"))
    }

    /// The names that were given and are not among `known`.
    pub(crate) fn unknown(&self, known: &[&str]) -> Vec<String> {
        let strange = self
            .named
            .keys()
            .filter(|name| !known.contains(&name.as_str()));
        strange.map(|name| format!("--{name}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_values_and_flags() {
        let args = parse("echo --rounds 3 --quick more").unwrap();
        assert_eq!(args.words(), ["echo", "more"]);
        assert_eq!(args.get::<u32>("rounds").unwrap(), Some(3));
        assert!(args.flag("quick"));
        assert_eq!(args.get_or("secs", 1.5).unwrap(), 1.5);
        assert_eq!(args.unknown(&["quick"]), ["--rounds"]);
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(parse("--rounds").unwrap_err().contains("needs a value"));
        let args = parse("--rounds many").unwrap();
        assert!(args.get::<u32>("rounds").unwrap_err().contains("many"));
        assert!(args.need::<u32>("secs").unwrap_err().contains("--secs"));
    }
}
