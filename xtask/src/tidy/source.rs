//! What the Rust files look like: length, unsafe, calls to the kernel.

use std::path::Path;

use crate::tidy::Findings;
use crate::tidy::allowed::{KERNEL_CALLS, LONG_FILES};
use crate::tidy::modules::is_test_file;
use crate::workspace::{Workspace, read};

/// Code lines of a file, tests and comments not counted.
pub(crate) const LINES_MAX: usize = 500;
const LINES_ADVISED: usize = 350;

pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) -> Result<(), String> {
    let files = workspace.files_with("rs")?;
    for (listed, _, _) in LONG_FILES {
        if !files.iter().any(|file| file == Path::new(listed)) {
            findings.error(format!("{listed}: is listed as long but does not exist"));
        }
    }
    for file in files {
        let text = read(&workspace.root.join(&file))?;
        let code = code_without_tests(&text);
        check_length(&file, &code, findings);
        check_unsafe(&file, &text, findings);
        check_kernel_calls(&file, &code, findings);
    }
    Ok(())
}

fn check_length(file: &Path, code: &str, findings: &mut Findings) {
    let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
    let name = file.display();
    let listed = LONG_FILES
        .iter()
        .find(|(listed, _, _)| file == Path::new(listed));
    match listed {
        Some((_, limit, _)) if lines > *limit => findings.error(format!(
            "{name}: has grown to {lines} code lines; it may have {limit} at most"
        )),
        Some((_, _, _)) if lines <= LINES_MAX => findings.error(format!(
            "{name}: is no longer long; take it off the list in xtask/src/tidy/allowed.rs"
        )),
        Some(_) => {}
        None if lines > LINES_MAX => findings.error(format!(
            "{name}: has {lines} code lines; the limit is {LINES_MAX}"
        )),
        None if lines > LINES_ADVISED => findings.warn(format!(
            "{name}: has {lines} code lines; above {LINES_ADVISED} it is hard to read"
        )),
        None => {}
    }
}

/// The compiler denies `unsafe` unless a file or module opts in; how it opts
/// in is checked here: with a reason, for no more than a module, and by an
/// attribute that complains once it is no longer needed.
fn check_unsafe(file: &Path, text: &str, findings: &mut Findings) {
    let name = file.display();
    let opt_in = |level: &str| format!("{level}(unsafe_code");
    if text.contains(&opt_in("allow")) {
        findings.error(format!(
            "{name}: lifts the lint against unsafe code with `allow`: use `expect` with a reason"
        ));
    }
    for (at, found) in text.match_indices(&opt_in("expect")) {
        let rest = &text[at + found.len()..];
        if !rest
            .trim_start_matches(&[',', ' ', '\n'][..])
            .starts_with("reason")
        {
            findings.error(format!("{name}: opts into unsafe code without a reason"));
        }
    }
    let is_root = file.ends_with("src/lib.rs") || file.ends_with("src/main.rs");
    if is_root && text.contains(&format!("#![{}", opt_in("expect"))) {
        findings.error(format!("{name}: opts a whole crate into unsafe code"));
    }
}

fn check_kernel_calls(file: &Path, code: &str, findings: &mut Findings) {
    let is_library =
        file.starts_with("crates") && file.components().any(|c| c.as_os_str() == "src");
    if !is_library || file.starts_with("crates/tapio-driver") || is_test_file(file) {
        return;
    }
    for call in KERNEL_CALLS {
        let is_allowed = call
            .allowed
            .iter()
            .any(|(allowed, _)| file.starts_with(allowed));
        if is_allowed {
            continue;
        }
        let is_call = |line: &str| call.patterns.iter().any(|pattern| line.contains(pattern));
        let mut calls = code.lines().enumerate().filter(|(_, line)| is_call(line));
        if let Some((number, _)) = calls.next() {
            findings.error(format!(
                "{}:{}: {}, here and {} times more: that goes through the driver, or needs \
                 a reason in xtask/src/tidy/allowed.rs",
                file.display(),
                number + 1,
                call.what,
                calls.count()
            ));
        }
    }
}

/// The code of a file with comments and test modules blanked, line by line.
///
/// A test module is what follows `#[cfg(test)]` and `mod name {` up to the
/// brace in the same column, which rustfmt sees to.
pub(crate) fn code_without_tests(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    let mut in_block_comment = false;
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if in_block_comment || trimmed.starts_with("/*") {
            in_block_comment = !trimmed.contains("*/");
            code.push('\n');
            continue;
        }
        let is_test_gate = trimmed.starts_with("#[cfg(") && trimmed.contains("test");
        let opens = |next: &&str| next.trim_start().contains("mod ") && next.ends_with('{');
        if is_test_gate && lines.peek().is_some_and(opens) {
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            code.push('\n');
            for skipped in lines.by_ref() {
                code.push('\n');
                if skipped == end {
                    break;
                }
            }
            continue;
        }
        code.push_str(without_comment(line));
        code.push('\n');
    }
    code
}

/// Cuts a line at `//`, unless that stands in a string, as in an address.
fn without_comment(line: &str) -> &str {
    let cut = line
        .match_indices("//")
        .find(|(at, _)| line[..*at].matches('"').count().is_multiple_of(2));
    cut.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::code_without_tests;

    #[test]
    fn comments_and_tests_are_blanked_and_lines_keep_their_numbers() {
        let text = "//! Doc.\nfn a() {} // why\nlet x = \"http://y\";\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let code = code_without_tests(text);
        let lines: Vec<_> = code.lines().map(str::trim_end).collect();
        assert_eq!(lines[1..3], ["fn a() {}", "let x = \"http://y\";"]);
        assert_eq!(lines[8], "fn c() {}");
        assert!(!code.contains("fn b"), "{code}");
    }
}
