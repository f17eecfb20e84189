//! `cargo xtask tidy`: rules that the compiler does not know.
//!
//! Each check looks at one kind of thing and returns every breach it finds, as
//! lines that name a file. The tables that people edit are in [`layers`] and
//! [`allowed`].

mod allowed;
mod features;
mod layers;
mod manifests;
mod modules;
mod source;
mod text;

use crate::workspace::Workspace;

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("tidy takes no arguments".to_owned());
    }
    check(&Workspace::load()?)
}

/// Runs all checks, prints what they find, and fails if any of it is an error.
pub(crate) fn check(workspace: &Workspace) -> Result<(), String> {
    let mut findings = Findings::default();
    manifests::check(workspace, &mut findings)?;
    features::check(workspace, &mut findings)?;
    modules::check(workspace, &mut findings)?;
    source::check(workspace, &mut findings)?;
    text::check(workspace, &mut findings)?;
    for warning in &findings.warnings {
        println!("warning: {warning}");
    }
    for error in &findings.errors {
        println!("error: {error}");
    }
    match findings.errors.len() {
        0 => {
            println!("tidy: nothing out of place");
            Ok(())
        }
        count => Err(format!("tidy: {count} out of place")),
    }
}

impl Findings {
    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, features};
    use crate::workspace::Workspace;

    /// The promise that nothing of tokio's runtime is compiled, kept by the
    /// ordinary test command and not only by `tidy`.
    #[test]
    fn nothing_of_tokios_runtime_is_compiled() {
        let workspace = Workspace::load().expect("cargo describes the workspace");
        let mut findings = Findings::default();
        features::check(&workspace, &mut findings).expect("cargo prints the feature graph");
        assert!(findings.errors.is_empty(), "{:#?}", findings.errors);
    }
}
