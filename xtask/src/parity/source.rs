//! Taking functions out of a test file without understanding Rust.
//!
//! tokio's tests are formatted by rustfmt, so an item ends at the brace or
//! parenthesis in the column where it began.

use std::collections::BTreeMap;

use crate::parity::table::{CUT_CALLS, CUT_FUNCTIONS, CUT_LINES, CUT_WORDS};

/// What was taken out, and why.
pub(crate) type Cut = (String, String);

/// The file without what [`super::table`] lists.
pub(crate) fn cut(file: &str, text: &str) -> (String, Vec<Cut>) {
    let lines: Vec<&str> = text.lines().collect();
    let mut keep = vec![true; lines.len()];
    let mut cuts = Vec::new();
    let mut calls = BTreeMap::<&str, usize>::new();
    for start in 0..lines.len() {
        if !keep[start] {
            continue;
        }
        if CUT_LINES.contains(&lines[start].trim()) {
            keep[start] = false;
        }
        let Some(item) = Item::at(&lines, start) else {
            continue;
        };
        let body = lines[item.first..=item.last].join("\n");
        if item.is_call {
            if let Some((_, reason)) = CUT_CALLS.iter().find(|(word, _)| body.contains(word)) {
                *calls.entry(reason).or_default() += 1;
                keep[item.first..=item.last].fill(false);
            }
        } else if let Some(reason) = reason_to_cut(file, &item.name, &body) {
            // What is no test is a helper, which only such tests call.
            if item.is_test {
                cuts.push((item.name, reason.to_owned()));
            }
            keep[item.first..=item.last].fill(false);
        }
    }
    cuts.extend(calls.into_iter().map(|(reason, count)| {
        let s = if count == 1 { "" } else { "s" };
        (format!("{count} assertion{s}"), reason.to_owned())
    }));
    let mut kept = String::with_capacity(text.len());
    for (line, keep) in lines.iter().zip(keep) {
        if keep {
            kept.push_str(line);
        }
        // Blank lines keep the numbers in messages true to the original.
        kept.push('\n');
    }
    (kept, cuts)
}

fn reason_to_cut(file: &str, name: &str, body: &str) -> Option<&'static str> {
    let by_word = CUT_WORDS.iter().find(|(word, _)| body.contains(word));
    let by_name = CUT_FUNCTIONS
        .iter()
        .find(|(of, function, _)| *of == file && *function == name);
    by_word
        .map(|(_, reason)| *reason)
        .or(by_name.map(|(_, _, reason)| *reason))
}

/// A function, or an assertion about types: a call of an `assert` macro or an
/// item without a name.
struct Item {
    name: String,
    /// Its first line, attributes included.
    first: usize,
    last: usize,
    is_test: bool,
    is_call: bool,
}

impl Item {
    fn at(lines: &[&str], start: usize) -> Option<Item> {
        let line = lines[start];
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let is_call = ["async_assert_fn!", "assert_value!", "const _: fn()"]
            .iter()
            .any(|start| code.starts_with(start));
        let name = if is_call {
            String::new()
        } else {
            let (_, after) = code.split_once("fn ").filter(|(before, _)| {
                before
                    .split_whitespace()
                    .all(|word| ["pub", "async", "const", "unsafe"].contains(&word))
            })?;
            after.split(&['(', '<'][..]).next()?.to_owned()
        };
        let first = first_attribute(lines, start, indent);
        let last = last_line(lines, start, indent)?;
        let is_test = lines[first..start].iter().any(|line| {
            let line = line.trim_start();
            line.starts_with("#[tokio::test") || line.starts_with("#[test")
        });
        Some(Item {
            name,
            first,
            last,
            is_test,
            is_call,
        })
    }
}

/// Goes up over attributes and comments.
fn first_attribute(lines: &[&str], start: usize, indent: &str) -> usize {
    let mut first = start;
    while first > 0 {
        let above = lines[first - 1];
        let code = above.trim_start();
        let ends_attribute = !code.is_empty() && code.chars().all(|c| c == ')' || c == ']');
        let belongs = above.starts_with(indent)
            && (code.starts_with("#[") || code.starts_with("//") || ends_attribute);
        if !belongs {
            break;
        }
        first -= 1;
        if ends_attribute {
            // The end of an attribute over several lines: find where it began.
            while first > 0 && !lines[first].trim_start().starts_with("#[") {
                first -= 1;
            }
        }
    }
    first
}

/// Goes down to the bracket that closes the item.
fn last_line(lines: &[&str], start: usize, indent: &str) -> Option<usize> {
    if lines[start].ends_with(';') || lines[start].ends_with('}') {
        return Some(start);
    }
    let ends = ['}', ')'].map(|close| format!("{indent}{close}"));
    (start..lines.len()).find(|at| {
        let line = lines[*at].strip_suffix(';').unwrap_or(lines[*at]);
        ends.iter().any(|end| line == end)
    })
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn tests_with_a_listed_word_are_taken_out_with_their_attributes() {
        let text = "use x;\n\n// Why.\n#[tokio::test]\n#[cfg(all(\n    a,\n    b\n))]\nasync fn paused() {\n    if a {\n        time::pause();\n    }\n}\n\n#[tokio::test]\nasync fn kept() {\n    b();\n}\n";
        let (kept, cuts) = cut("f", text);
        assert_eq!(kept.lines().count(), text.lines().count());
        let lines: Vec<_> = kept.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(
            lines,
            [
                "use x;",
                "#[tokio::test]",
                "async fn kept() {",
                "    b();",
                "}"
            ]
        );
        assert_eq!(cuts.len(), 1);
        assert_eq!(cuts[0].0, "paused");
    }

    #[test]
    fn calls_over_several_lines_are_taken_out_whole() {
        let text = "async_assert_fn!(tokio::fs::copy(&str): Send);\nasync_assert_fn!(\n    tokio::fs::rename(&str): Send\n);\nasync_assert_fn!(tokio::io::copy(A): Send);\n";
        let (kept, cuts) = cut("async_send_sync", text);
        assert_eq!(kept.trim(), "async_assert_fn!(tokio::io::copy(A): Send);");
        assert_eq!(cuts.len(), 1);
        assert_eq!(cuts[0].0, "2 assertions");
    }

    #[test]
    fn assertions_inside_of_modules_and_without_a_macro_are_taken_out_too() {
        let text = "mod fs {\n    assert_value!(tokio::fs::File: Send);\n    async_assert_fn!(\n        tokio::fs::File::set_len(_): Send\n    );\n}\nconst _: fn() = || {\n    let f = tokio::macros::support::poll_fn();\n    require_send(&f);\n};\n";
        let (kept, cuts) = cut("async_send_sync", text);
        let lines: Vec<_> = kept.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines, ["mod fs {", "}"]);
        assert_eq!(cuts.len(), 2);
    }
}
