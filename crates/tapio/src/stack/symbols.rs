//! What the function at an address is called, and where it is written.
//!
//! By the resolver of the crate `backtrace`, the one that panics use: it knows
//! inlined functions, separate and compressed debug information, and both ways
//! to mangle a name. `addr2line` by itself leaves finding the files to us.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;

use super::frame::{Frame, Origin};
use super::functions::Functions;
use super::modules::Module;
use super::origin::origin;

/// Addresses that are remembered; with more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;

/// How far ahead a line is looked for: some instructions.
const BORROWED_BYTES_MAX: u64 = 32;

/// Names addresses, and remembers them.
pub(super) struct Symbols {
    known: HashMap<u64, Arc<[Frame]>>,
    /// By file; none for one that has no symbol table.
    functions: HashMap<PathBuf, Option<Functions>>,
    program: Option<PathBuf>,
}

impl Symbols {
    pub(super) fn new() -> Symbols {
        Symbols {
            known: HashMap::new(),
            functions: HashMap::new(),
            program: std::fs::read_link("/proc/self/exe").ok(),
        }
    }

    /// What is in memory has changed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.functions.clear();
        backtrace::clear_symbol_cache();
    }

    pub(super) fn is_program(&self, path: &Path) -> bool {
        self.program.as_deref() == Some(path)
    }

    /// The functions at an address: the one that it is in, after those that
    /// are inlined there.
    pub(super) fn at(&mut self, address: u64, module: Option<&Module>) -> Arc<[Frame]> {
        if let Some(frames) = self.known.get(&address) {
            return Arc::clone(frames);
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        let frames: Arc<[Frame]> = self.resolve(address, module).into();
        self.known.insert(address, Arc::clone(&frames));
        frames
    }

    fn resolve(&mut self, address: u64, module: Option<&Module>) -> Vec<Frame> {
        let is_program = module.is_some_and(|module| self.is_program(&module.path));
        let unknown = Frame {
            function: None,
            file: None,
            line: None,
            origin: Origin::System,
            address,
            start: address,
            offset: offset(address, module),
            is_innermost: false,
        };
        let mut frames = named(&unknown, address);
        if frames.is_empty() {
            frames.push(unknown.clone());
        }
        if let Some((start, name)) = self.function(address, module) {
            borrow_lines(&mut frames, &unknown, address);
            frames.iter_mut().for_each(|frame| frame.start = start);
            // All but the outermost are inlined into it.
            if let (Some(frame), Some(name)) = (frames.last_mut(), name)
                && frame
                    .function
                    .as_ref()
                    .is_none_or(|known| !known.contains("::"))
            {
                frame.function = Some(name);
            }
        }
        for frame in &mut frames {
            frame.origin = origin(frame.file.as_deref(), frame.function.as_deref(), is_program);
        }
        frames
    }

    /// Where the function around an address begins, and its name in full.
    fn function(&mut self, address: u64, module: Option<&Module>) -> Option<(u64, Option<String>)> {
        let module = module?;
        let functions = self
            .functions
            .entry(module.path.clone())
            .or_insert_with(|| Functions::read(&module.path))
            .as_ref()?;
        let function = functions.at(address.wrapping_sub(module.bias))?;
        let name = functions.name(function).and_then(|name| readable(&name));
        Some((module.bias.wrapping_add(function.start), name))
    }
}

/// The functions at an address as the debug information has them, and `unknown`
/// for all else.
fn named(unknown: &Frame, address: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    // It takes what it is given for a return address, one too far.
    let after = ptr::without_provenance_mut(address as usize + 1);
    backtrace::resolve(after, |symbol| {
        let function = symbol
            .name()
            .and_then(|name| readable(&format!("{name:#}")));
        let file = symbol.filename().map(Path::to_path_buf);
        frames.push(Frame {
            function,
            file,
            line: symbol.lineno(),
            ..unknown.clone()
        });
    });
    frames
}

/// Gives frames at instructions that belong to no line (a compiler writes line
/// 0 for those that it made up, such as the reload of a register at the head
/// of a loop) the line of what they were made for: the code just after, in the
/// same functions.
fn borrow_lines(frames: &mut [Frame], unknown: &Frame, at: u64) {
    let lacks_line = |frame: &Frame| frame.file.is_some() && frame.line.is_none();
    for address in at + 1..=at + BORROWED_BYTES_MAX {
        if !frames.iter().any(lacks_line) {
            return;
        }
        let others = named(unknown, address);
        if others.len() != frames.len() {
            continue;
        }
        for (frame, other) in frames.iter_mut().zip(others) {
            let is_same = frame.function == other.function && frame.file == other.file;
            if is_same && lacks_line(frame) {
                frame.line = other.line;
            }
        }
    }
}

fn offset(address: u64, module: Option<&Module>) -> String {
    match module {
        Some(module) => {
            let name = module.path.file_name().unwrap_or(module.path.as_os_str());
            format!(
                "{}+{:#x}",
                name.display(),
                address.wrapping_sub(module.bias)
            )
        }
        None => format!("{address:#x}"),
    }
}

/// Closures and `async` blocks by the function that they are written in. None
/// for one of which only its own name is known: line tables alone do not say
/// what an inlined function is part of.
fn readable(name: &str) -> Option<String> {
    let mut name = name;
    while let Some(opened) = name.strip_suffix('}') {
        let start = match opened.rfind("::{") {
            Some(start) => start,
            None if opened.starts_with('{') => return None,
            None => break,
        };
        name = &name[..start];
    }
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::modules::{mappings, modules};
    use super::{Symbols, readable};

    #[test]
    fn all_of_a_function_begins_where_it_does() {
        let start = mappings as *const () as u64;
        let modules = modules(&mappings());
        let module = modules.iter().find(|module| module.range.contains(&start));
        let mut symbols = Symbols::new();
        for address in [start, start + 1, start + 8] {
            let frames = symbols.at(address, module);
            assert!(frames.iter().all(|frame| frame.start == start));
            let outermost = frames.last().and_then(|frame| frame.function.as_deref());
            assert_eq!(outermost, Some("tapio::stack::modules::mappings"));
        }
    }

    #[test]
    fn a_closure_goes_by_its_function() {
        let names = [
            ("myapp::handler::{{closure}}", "myapp::handler"),
            ("myapp::handler::{{closure}}::{{closure}}", "myapp::handler"),
            ("myapp::handler::{closure#0}", "myapp::handler"),
            (
                "<myapp::T as F>::call::{async_fn#1}",
                "<myapp::T as F>::call",
            ),
            ("myapp::f", "myapp::f"),
            ("main", "main"),
        ];
        for (name, expected) in names {
            assert_eq!(readable(name).as_deref(), Some(expected));
        }
        for name in ["{async_fn#0}", "{{closure}}", "{closure#0}"] {
            assert_eq!(readable(name), None);
        }
    }
}
