//! What the function at an address is called, and where it is written.
//!
//! By the resolver of the crate `backtrace`, the one that panics use: it knows
//! inlined functions, separate and compressed debug information, and both ways
//! to mangle a name. `addr2line` by itself leaves finding the files to us.

use std::collections::HashMap;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use super::frame::Frame;
use super::modules::Module;
use super::origin::origin;

/// Addresses that are remembered; with more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;

/// Names addresses, and remembers them.
pub(super) struct Symbols {
    known: HashMap<u64, Arc<[Frame]>>,
    program: Option<std::path::PathBuf>,
}

impl Symbols {
    pub(super) fn new() -> Symbols {
        Symbols {
            known: HashMap::new(),
            program: std::fs::read_link("/proc/self/exe").ok(),
        }
    }

    /// What is in memory has changed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
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

    fn resolve(&self, address: u64, module: Option<&Module>) -> Vec<Frame> {
        let is_program = module.is_some_and(|module| self.is_program(&module.path));
        let offset = offset(address, module);
        let mut frames = Vec::new();
        // It takes what it is given for a return address, one too far.
        let after = ptr::without_provenance_mut(address as usize + 1);
        backtrace::resolve(after, |symbol| {
            let function = symbol
                .name()
                .and_then(|name| readable(&format!("{name:#}")));
            let file = symbol.filename().map(Path::to_path_buf);
            frames.push(Frame {
                origin: origin(file.as_deref(), function.as_deref(), is_program),
                function,
                file,
                line: symbol.lineno(),
                address,
                start: symbol.addr().map_or(0, |start| start.addr() as u64),
                offset: offset.clone(),
                is_innermost: false,
            });
        });
        if frames.is_empty() {
            frames.push(Frame {
                function: None,
                file: None,
                line: None,
                origin: origin(None, None, is_program),
                address,
                start: address,
                offset,
                is_innermost: false,
            });
        }
        frames
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
    use super::readable;

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
