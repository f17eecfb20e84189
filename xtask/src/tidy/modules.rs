//! The layers inside a crate, from the paths that its modules name.
//!
//! This reads text, not syntax: `crate::name` and `super::` chains wherever
//! they stand in code, tests left out. That is enough to keep an honest table
//! honest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::tidy::Findings;
use crate::tidy::layers::{KNOTS, MODULE_TABLES, Row};
use crate::tidy::source::code_without_tests;
use crate::workspace::{Workspace, read};

/// The edges of one crate, each with a file that has it.
type Edges = BTreeMap<(String, String), String>;

pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) -> Result<(), String> {
    for (krate, table) in MODULE_TABLES {
        check_table(krate, table, findings);
        let edges = edges_of(workspace, krate)?;
        let mut missing = BTreeMap::<&str, Vec<&str>>::new();
        for ((from, to), file) in &edges {
            match table.iter().find(|(name, _)| name == from) {
                None => missing.entry(from).or_default().push(to),
                Some((_, allowed)) if !allowed.contains(&to.as_str()) => {
                    findings.error(format!("{file}: `{from}` may not import `{to}`"));
                }
                Some(_) => {}
            }
        }
        for (module, imports) in missing {
            findings.error(format!(
                "{krate}: `{module}` has no row in xtask/src/tidy/layers.rs; what it names now \
                 is (\"{module}\", &{imports:?}),"
            ));
        }
    }
    Ok(())
}

/// A row may name rows above it only, or its own knot: then there is no cycle
/// outside the knots.
fn check_table(krate: &str, table: &[Row], findings: &mut Findings) {
    let mut above = BTreeSet::new();
    for (name, allowed) in table {
        for import in *allowed {
            let is_knot = KNOTS.iter().any(|(of, modules, _)| {
                *of == krate && modules.contains(name) && modules.contains(import)
            });
            if !above.contains(import) && !is_knot {
                findings.error(format!(
                    "xtask/src/tidy/layers.rs: in {krate}, `{name}` names `{import}`, \
                     which is not above it"
                ));
            }
        }
        above.insert(name);
    }
}

fn edges_of(workspace: &Workspace, krate: &str) -> Result<Edges, String> {
    let source = Path::new("crates").join(krate).join("src");
    let files: Vec<_> = workspace
        .files_with("rs")?
        .into_iter()
        .filter_map(|file| file.strip_prefix(&source).ok().map(Path::to_owned))
        .collect();
    let modules: BTreeSet<String> = files.iter().map(|file| top_module(file)).collect();
    let mut edges = Edges::new();
    for file in &files {
        let from = top_module(file);
        if from == "lib" || is_test_file(file) {
            continue;
        }
        let path = source.join(file);
        let code = code_without_tests(&read(&workspace.root.join(&path))?);
        for to in named_modules(&code, depth(file)) {
            if to != from && modules.contains(&to) {
                edges
                    .entry((from.clone(), to))
                    .or_insert_with(|| path.display().to_string());
            }
        }
    }
    Ok(edges)
}

/// `net/tcp.rs` and `net.rs` belong to `net`.
fn top_module(file: &Path) -> String {
    let first = file.components().next();
    first
        .map(|part| Path::new(part.as_os_str()))
        .and_then(Path::file_stem)
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// How many modules deep the items of a file are.
fn depth(file: &Path) -> usize {
    let folders = file.components().count() - 1;
    match file.file_name() {
        Some(name) if name == "mod.rs" => folders,
        _ => folders + 1,
    }
}

/// Models and test files may look at anything.
pub(crate) fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| {
        let part = part.as_os_str();
        ["model.rs", "model", "tests.rs", "tests"]
            .iter()
            .any(|name| part == *name)
    })
}

/// The first names after `crate::`, and after as many `super::` as lead there.
fn named_modules(code: &str, depth: usize) -> BTreeSet<String> {
    let to_root = format!("{} ", "super::".repeat(depth));
    let mut found = BTreeSet::new();
    for prefix in ["crate::", to_root.trim_end()] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            first_names(&code[at + prefix.len()..], &mut found);
        }
    }
    found
}

/// `a::b` names `a`; `{a::b, c}` names `a` and `c`.
fn first_names(rest: &str, found: &mut BTreeSet<String>) {
    let Some(list) = rest.strip_prefix('{') else {
        let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
        found.insert(name);
        return;
    };
    let mut nesting = 0;
    let mut name = String::new();
    let mut is_first = true;
    for c in list.chars() {
        match c {
            '{' => nesting += 1,
            '}' if nesting == 0 => break,
            '}' => nesting -= 1,
            ',' if nesting == 0 => {
                found.insert(std::mem::take(&mut name));
                is_first = true;
            }
            c if is_name(c) && is_first && nesting == 0 => name.push(c),
            c if c.is_whitespace() && name.is_empty() => {}
            _ => is_first = false,
        }
    }
    found.insert(name);
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{depth, named_modules, top_module};

    #[track_caller]
    fn check(code: &str, file: &str, expected: &[&str]) {
        let names = named_modules(code, depth(Path::new(file)));
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn paths_from_the_root_name_their_first_module() {
        check("use crate::task::{Id, raw::Cell};", "a.rs", &["task"]);
        check("let x = crate::time::sleep();", "a.rs", &["time"]);
        check(
            "use crate::{net, task::{Id, Cell}, time::sleep};",
            "a.rs",
            &["net", "task", "time"],
        );
        check(
            "use crate::{\n    io,\n    sync as s,\n};",
            "a.rs",
            &["", "io", "sync"],
        );
        check("use mycrate::task; $crate::pin!()", "a.rs", &[]);
    }

    #[test]
    fn supers_count_once_they_reach_the_root() {
        check("use super::task::Id;", "net.rs", &["task"]);
        check("use super::task::Id;", "net/mod.rs", &["task"]);
        check("use super::peer;", "net/tcp.rs", &[]);
        check("use super::super::task;", "net/tcp.rs", &["task"]);
    }

    #[test]
    fn a_file_belongs_to_its_top_module() {
        assert_eq!(top_module(Path::new("net/tcp/split.rs")), "net");
        assert_eq!(top_module(Path::new("net.rs")), "net");
        assert_eq!(top_module(Path::new("lib.rs")), "lib");
    }
}
