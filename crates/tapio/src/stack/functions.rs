//! Where the functions of a program begin and what they are called in full, by
//! its symbol table.
//!
//! Debug information that consists of line tables gives the last part of a name
//! only, and nothing of where a function begins.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use object::NativeEndian as Endian;
use object::elf::{
    FileHeader64, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC, SectionHeader64, Sym64,
};
use object::pod::{Pod, from_bytes, slice_from_bytes};
use object::read::elf::{SectionHeader as _, Sym as _};

/// A table of more bytes is no table but a mistake.
const TABLE_BYTES_MAX: u64 = 1 << 30;
/// A longer name is not read.
const NAME_BYTES_MAX: usize = 16 << 10;

/// The functions of one file, in the order of their addresses.
///
/// Names stay in the file, since few of them are ever asked for; and the file
/// does not stay open, since a program counts its descriptors.
#[derive(Debug)]
pub(super) struct Functions {
    path: PathBuf,
    /// Device, inode and time: another file by that name has other names.
    identity: Option<(u64, u64, i64)>,
    names_at: u64,
    all: Vec<Function>,
}

/// A function, with addresses as the file has them.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) start: u64,
    size: u32,
    name: u32,
}

impl Functions {
    /// None of what is no readable ELF file with a symbol table.
    pub(super) fn read(path: &Path) -> Option<Functions> {
        let file = File::open(path).ok()?;
        let header = bytes(&file, 0, size_of::<FileHeader64<Endian>>() as u64)?;
        let (header, _) = from_bytes::<FileHeader64<Endian>>(&header).ok()?;
        let sections = header.e_shnum.get(Endian).into();
        let sections: Vec<SectionHeader64<Endian>> =
            table(&file, header.e_shoff.get(Endian), sections)?;
        let of_kind = |kind| sections.iter().find(|one| one.sh_type(Endian) == kind);
        // Without the former, a library still has what others may call.
        let symbols = of_kind(SHT_SYMTAB).or_else(|| of_kind(SHT_DYNSYM))?;
        let names = sections.get(symbols.sh_link(Endian) as usize)?;
        let count = symbols.sh_size(Endian) / size_of::<Sym64<Endian>>() as u64;
        let symbols: Vec<Sym64<Endian>> = table(&file, symbols.sh_offset(Endian), count)?;
        let is_function = |one: &&Sym64<Endian>| {
            let kind = one.st_type();
            (kind == STT_FUNC || kind == STT_GNU_IFUNC) && one.st_value(Endian) != 0
        };
        let functions = symbols.iter().filter(is_function);
        let mut all: Vec<Function> = functions
            .map(|one| Function {
                start: one.st_value(Endian),
                size: one.st_size(Endian).try_into().unwrap_or(u32::MAX),
                name: one.st_name(Endian),
            })
            .collect();
        all.sort_unstable_by_key(|one| one.start);
        Some(Functions {
            path: path.into(),
            identity: identity(&file),
            names_at: names.sh_offset(Endian),
            all,
        })
    }

    /// The function that an address of the file is in.
    pub(super) fn at(&self, address: u64) -> Option<&Function> {
        let after = self.all.partition_point(|one| one.start <= address);
        let last = self.all.get(after.checked_sub(1)?)?;
        (address - last.start < last.size.into()).then_some(last)
    }

    /// Its name as a reader wants it.
    pub(super) fn name(&self, function: &Function) -> Option<String> {
        let file = File::open(&self.path).ok()?;
        (identity(&file) == self.identity).then_some(())?;
        let mut name = vec![0; NAME_BYTES_MAX];
        let at = self.names_at.checked_add(function.name.into())?;
        let count = file.read_at(&mut name, at).ok()?;
        let end = name[..count].iter().position(|byte| *byte == 0)?;
        let name = backtrace::SymbolName::new(&name[..end]);
        Some(format!("{name:#}"))
    }
}

fn identity(file: &File) -> Option<(u64, u64, i64)> {
    let is = file.metadata().ok()?;
    Some((is.dev(), is.ino(), is.mtime()))
}

fn bytes(file: &File, at: u64, count: u64) -> Option<Vec<u8>> {
    (count <= TABLE_BYTES_MAX).then_some(())?;
    let mut bytes = vec![0; count.try_into().ok()?];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

fn table<T: Pod>(file: &File, at: u64, count: u64) -> Option<Vec<T>> {
    let bytes = bytes(file, at, count.checked_mul(size_of::<T>() as u64)?)?;
    let (table, _) = slice_from_bytes(&bytes, count.try_into().ok()?).ok()?;
    Some(table.to_vec())
}

#[cfg(test)]
mod tests {
    use super::Functions;
    use crate::stack::modules::{mappings, modules};

    #[test]
    fn a_function_of_this_program_is_found_by_any_address_in_it() {
        let program = std::env::current_exe().expect("it runs");
        let functions = Functions::read(&program).expect("it has symbols");
        let start = mappings as *const () as u64;
        let modules = modules(&mappings());
        let module = modules.iter().find(|module| module.range.contains(&start));
        let start = start - module.expect("it is in memory").bias;
        for address in [start, start + 1, start + 8] {
            let found = functions.at(address).expect("it is in the table");
            assert_eq!(found.start, start);
            let name = functions.name(found);
            assert_eq!(name.as_deref(), Some("tapio::stack::modules::mappings"));
        }
        assert!(functions.at(0).is_none());
        assert!(functions.at(u64::MAX).is_none());
    }

    #[test]
    fn what_is_no_program_has_no_functions() {
        assert!(Functions::read("/proc/self/maps".as_ref()).is_none());
        assert!(Functions::read("[vdso]".as_ref()).is_none());
    }
}
