//! What the function at an address is called, and where it is written.
//!
//! By the program's own line tables and symbols, read as far as an address
//! needs them (`lines`, `functions`) and let go with the stack. Debug
//! information that is compressed, split or in another file is left to the
//! crate `backtrace`, which reads all that there is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;

use super::frame::{Frame, Origin};
use super::functions::{Function, demangled, functions};
use super::image::{Image, MappedFile};
use super::lines::{DebugInfo, Place};
use super::modules::{Module, VDSO};
use super::names::{dropped_type, plain};
use super::origin::{dropped_origin, fetched_package, origin};

/// Addresses that are remembered; with more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;
/// The program's file, also when another has come to its path.
const PROGRAM: &str = "/proc/self/exe";

/// Names addresses, and remembers them.
pub(super) struct Symbols {
    known: HashMap<u64, Arc<[Frame]>>,
    /// Crates that Cargo fetched, as far as any were on a stack.
    fetched: HashSet<String>,
    program: Option<PathBuf>,
}

/// What there is to know of one address.
#[derive(Default)]
struct Found {
    places: Vec<Place>,
    function: Option<Function>,
}

impl Symbols {
    pub(super) fn new() -> Symbols {
        Symbols {
            known: HashMap::new(),
            fetched: HashSet::new(),
            program: std::fs::read_link(PROGRAM).ok(),
        }
    }

    /// What is in memory has changed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    pub(super) fn is_program(&self, path: &Path) -> bool {
        self.program.as_deref() == Some(path)
    }

    /// For each of these addresses the functions there: the one that it is
    /// in, after those that are inlined.
    pub(super) fn at(&mut self, addresses: &[(u64, Option<&Module>)]) -> Vec<Arc<[Frame]>> {
        if self.known.len() + addresses.len() > REMEMBERED_MAX {
            self.known.clear();
        }
        // All that are in one file at once, so that each is opened once.
        let mut unknown: BTreeMap<u64, (Option<&Module>, Vec<u64>)> = BTreeMap::new();
        for (address, module) in addresses {
            if !self.known.contains_key(address) {
                let start = module.map_or(0, |module| module.range.start);
                let (_, file) = unknown.entry(start).or_insert((*module, Vec::new()));
                file.push(*address);
            }
        }
        for (module, mut unknown) in unknown.into_values() {
            unknown.sort_unstable();
            unknown.dedup();
            let found = match module {
                Some(module) => self.find(module, &unknown),
                None => unknown.iter().map(|_| Found::default()).collect(),
            };
            for (address, found) in unknown.into_iter().zip(found) {
                let frames = self.frames(address, module, found).into();
                self.known.insert(address, frames);
            }
        }
        let known = |(address, _): &(u64, _)| self.known.get(address).cloned().unwrap_or_default();
        addresses.iter().map(known).collect()
    }

    /// Has the innermost code of the user's be his type that is dropped, where
    /// the compiler drops it without calling any code of his.
    pub(super) fn find_dropped(&mut self, frames: &mut [Frame]) {
        for frame in &*frames {
            let path = frame.file.as_ref().map(|file| file.to_string_lossy());
            let package = path.as_deref().and_then(fetched_package);
            self.fetched
                .extend(package.map(|name| name.replace('-', "_")));
        }
        let is_fetched = |name: &str| self.fetched.contains(name);
        let inner = frames.iter_mut();
        for frame in inner.take_while(|frame| frame.origin != Origin::User) {
            let dropped = frame.function.as_deref().and_then(dropped_type);
            if let Some(dropped) = dropped
                && dropped_origin(dropped, is_fetched) == Origin::User
            {
                frame.origin = Origin::User;
                // What there is says where `core` declares it.
                (frame.file, frame.line) = (None, None);
                break;
            }
        }
    }

    /// What the file of a module says of addresses in it.
    fn find(&self, module: &Module, addresses: &[u64]) -> Vec<Found> {
        let path = match self.is_program(&module.path) {
            true => Path::new(PROGRAM),
            false => &module.path,
        };
        let file = MappedFile::open(path);
        let image = file.as_ref().and_then(|file| Image::parse(file.bytes()));
        // Addresses as the file has them, and still in order: a module is in
        // one piece.
        let within = |address: &u64| address.wrapping_sub(module.bias);
        let in_file: Vec<u64> = addresses.iter().map(within).collect();
        let functions = image.as_ref().map(|image| functions(image, &in_file));
        let functions = functions.unwrap_or_else(|| vec![None; addresses.len()]);
        let own = image.as_ref().and_then(DebugInfo::of);
        let places = match own {
            Some(mut own) => own.places(&in_file, |index| {
                let name = functions[index]
                    .as_ref()
                    .and_then(|one| one.name.as_deref());
                name.is_some_and(|name| !is_of_rust(name))
            }),
            None if is_of_system(&module.path) => vec![Vec::new(); addresses.len()],
            None => places_elsewhere(addresses),
        };
        let both = places.into_iter().zip(functions);
        both.map(|(places, function)| Found { places, function })
            .collect()
    }

    fn frames(&self, address: u64, module: Option<&Module>, found: Found) -> Vec<Frame> {
        let is_program = module.is_some_and(|module| self.is_program(&module.path));
        let start = found.function.as_ref().zip(module);
        let start = start.map(|(function, module)| module.bias.wrapping_add(function.start));
        let mut places = found.places;
        if places.is_empty() {
            places.push(Place::default());
        }
        let frame = |place: Place| Frame {
            function: place.function.and_then(|name| readable(&name)),
            file: place.file,
            line: place.line,
            origin: Origin::System,
            address,
            start: start.unwrap_or(address),
            offset: offset(address, module),
            is_innermost: false,
        };
        let mut frames: Vec<Frame> = places.into_iter().map(frame).collect();
        let name = found.function.and_then(|function| function.name);
        // All but the outermost are inlined into it.
        if let (Some(frame), Some(name)) = (frames.last_mut(), name)
            && let Some(name) = readable(&name)
            && !frame.is_named_in_full()
        {
            frame.function = Some(name);
        }
        for frame in &mut frames {
            frame.origin = origin(frame.file.as_deref(), frame.function.as_deref(), is_program);
        }
        frames
    }
}

impl Frame {
    /// Whether more than the last part of its name is known.
    fn is_named_in_full(&self) -> bool {
        let name = self.function.as_deref().unwrap_or_default();
        plain(name).contains("::")
    }
}

/// Whether a function is one that the Rust compiler has made, which puts all
/// of them into its index of addresses but for those that have no lines.
fn is_of_rust(name: &str) -> bool {
    name.contains("::") || name.starts_with("__rust_")
}

/// Whether a library is one of the distribution's: where it keeps debug
/// information of those, it is large and says nothing of the user's code.
fn is_of_system(path: &Path) -> bool {
    let folders = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
    folders.iter().any(|folder| path.starts_with(folder)) || path.starts_with(VDSO)
}

/// What the crate `backtrace` finds, wherever a distribution puts it.
fn places_elsewhere(addresses: &[u64]) -> Vec<Vec<Place>> {
    let places = addresses.iter().map(|address| {
        let mut places = Vec::new();
        // It takes what it is given for a return address, one too far.
        let after = ptr::without_provenance_mut(*address as usize + 1);
        backtrace::resolve(after, |symbol| {
            places.push(Place {
                function: symbol.name().map(|name| demangled(name.as_bytes())),
                file: symbol.filename().map(Path::to_path_buf),
                line: symbol.lineno(),
            });
        });
        places
    });
    let places = places.collect();
    backtrace::clear_symbol_cache();
    places
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
    let bare = plain(name);
    let mut name = if bare.ends_with('}') { &bare } else { name };
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
        let addresses = [start, start + 1, start + 8].map(|address| (address, module));
        for frames in symbols.at(&addresses) {
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
            (
                "myapp::handler::{async_block#0}<fn() -> A>",
                "myapp::handler",
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
