//! Words that may not be in any file.

use std::path::Path;

use crate::tidy::Findings;
use crate::workspace::{Workspace, read};

/// In every text file. In two pieces, so that this file does not break the
/// rule itself.
const NOWHERE: &[(&str, &str, &str)] = &[
    ("/wo", "rk/", "is a path of one machine"),
    ("/ro", "ot/", "is a path of one machine"),
];

/// In Rust files.
const NOT_IN_RUST: &[(&str, &str, &str)] = &[
    ("to", "do!", "marks something unfinished"),
    ("unimple", "mented!", "marks something unfinished"),
    ("db", "g!(", "is left over from debugging"),
    ("#[ig", "nore", "hides a test: make it pass, or take it out"),
];

const TEXT_FILES: &[&str] = &[
    "rs", "toml", "md", "sh", "html", "css", "js", "json", "yml", "txt", "out", "",
];

pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) -> Result<(), String> {
    for file in workspace.files()? {
        let extension = file.extension().unwrap_or_default().to_string_lossy();
        if !TEXT_FILES.contains(&extension.as_ref()) {
            continue;
        }
        let text = read(&workspace.root.join(&file))?;
        search(&file, &text, NOWHERE, findings);
        if extension == "rs" {
            search(&file, &text, NOT_IN_RUST, findings);
        }
    }
    Ok(())
}

fn search(file: &Path, text: &str, words: &[(&str, &str, &str)], findings: &mut Findings) {
    for (head, tail, why) in words {
        let word = format!("{head}{tail}");
        for (number, line) in text.lines().enumerate() {
            if line.contains(&word) {
                findings.error(format!("{}:{}: `{word}` {why}", file.display(), number + 1));
            }
        }
    }
}
