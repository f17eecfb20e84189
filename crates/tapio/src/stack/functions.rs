//! Where the functions of a program begin and what they are called in full, by
//! its symbol table.
//!
//! Debug information that consists of line tables gives the last part of a name
//! only, and nothing of where a function begins.

use object::NativeEndian as Endian;
use object::elf::{STT_FUNC, STT_GNU_IFUNC};
use object::read::elf::Sym as _;

use super::image::Image;

/// A function, with addresses as the file has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) start: u64,
    /// Its name as a reader wants it.
    pub(super) name: Option<String>,
}

/// The functions that these addresses are in, which are in order.
///
/// # Cost
/// One pass through the symbol table, and no memory: it may have a million
/// entries.
pub(super) fn functions(image: &Image<'_>, addresses: &[u64]) -> Vec<Option<Function>> {
    let Some(symbols) = image.symbols() else {
        return vec![None; addresses.len()];
    };
    // Where it begins, and its name's place in the file.
    let mut found: Vec<Option<(u64, u32)>> = vec![None; addresses.len()];
    for symbol in symbols.iter() {
        let kind = symbol.st_type();
        let start = symbol.st_value(Endian);
        if (kind != STT_FUNC && kind != STT_GNU_IFUNC) || start == 0 {
            continue;
        }
        let end = start.saturating_add(symbol.st_size(Endian));
        let first = addresses.partition_point(|address| *address < start);
        let after = addresses.partition_point(|address| *address < end);
        for found in found.get_mut(first..after).unwrap_or_default() {
            // Of two at one place the later one, which is the inner.
            if found.is_none_or(|(known, _)| known < start) {
                *found = Some((start, symbol.st_name(Endian)));
            }
        }
    }
    let name = |name| symbols.strings().get(name).ok().map(demangled);
    let function = |(start, at)| Function {
        start,
        name: name(at),
    };
    found.into_iter().map(|found| found.map(function)).collect()
}

/// A name as it was before a compiler made a symbol of it.
pub(super) fn demangled(name: &[u8]) -> String {
    format!("{:#}", backtrace::SymbolName::new(name))
}

#[cfg(test)]
mod tests {
    use super::super::image::{Image, MappedFile};
    use super::functions;
    use crate::stack::modules::{mappings, modules};

    #[test]
    fn a_function_of_this_program_is_found_by_any_address_in_it() {
        let start = mappings as *const () as u64;
        let modules = modules(&mappings());
        let module = modules.iter().find(|module| module.range.contains(&start));
        let start = start - module.expect("it is in memory").bias;
        let program = MappedFile::open("/proc/self/exe".as_ref()).expect("it runs");
        let image = Image::parse(program.bytes()).expect("it is a program");
        let addresses = [0, start, start + 1, start + 8, u64::MAX];
        let found = functions(&image, &addresses);
        assert_eq!((&found[0], &found[4]), (&None, &None));
        for function in &found[1..4] {
            let function = function.as_ref().expect("it is in the table");
            assert_eq!(function.start, start);
            let name = function.name.as_deref();
            assert_eq!(name, Some("tapio::stack::modules::mappings"));
        }
    }
}
