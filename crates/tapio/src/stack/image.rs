//! A program or library on disk, to be read while a stack is named and no
//! longer.
//!
//! It is mapped and not copied: of a hundred megabytes of debug information a
//! stack needs a few pages, and when the mapping goes, so do they.

#![expect(unsafe_code, reason = "maps a file")]

use std::fs::File;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::slice;

use object::NativeEndian as Endian;
use object::elf::{FileHeader64, SHF_COMPRESSED, SHT_DYNSYM, SHT_SYMTAB};
use object::read::elf::{FileHeader as _, SectionHeader as _, SectionTable, SymbolTable};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

type Elf = FileHeader64<Endian>;

/// A file in memory until it is dropped.
#[derive(Debug)]
pub(super) struct MappedFile {
    start: NonNull<u8>,
    len: usize,
}

impl MappedFile {
    pub(super) fn open(path: &Path) -> Option<MappedFile> {
        // The descriptor is closed again: a program counts its own.
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok().filter(|is| is.is_file())?;
        let len = metadata.len().try_into().ok().filter(|len| *len > 0)?;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let start = unsafe {
            let (prot, flags) = (ProtFlags::READ, MapFlags::PRIVATE);
            mmap(ptr::null_mut(), len, prot, flags, &file, 0).ok()?
        };
        let start = NonNull::new(start.cast())?;
        Some(MappedFile { start, len })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped until `drop`, and written by nobody in this process.
        // Another one may write to the file, but not to one that is loaded as
        // a program; of a library that is written to while it is loaded, this
        // process executes the changed bytes as well.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: of `open`, and whoever borrowed its bytes is gone. An error
        // would leave it mapped.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// What an ELF file consists of.
pub(super) struct Image<'a> {
    data: &'a [u8],
    sections: SectionTable<'a, Elf>,
}

impl<'a> Image<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Option<Image<'a>> {
        let header = Elf::parse(data).ok()?;
        let sections = header.sections(Endian, data).ok()?;
        Some(Image { data, sections })
    }

    /// A section as it is to be read; `None` if there is none, or if it is
    /// compressed.
    pub(super) fn section(&self, name: &str) -> Option<&'a [u8]> {
        let (_, header) = self.sections.section_by_name(Endian, name.as_bytes())?;
        if header.sh_flags(Endian).contains(SHF_COMPRESSED) {
            return None;
        }
        header.data(Endian, self.data).ok()
    }

    /// The symbol table; without it, a library still has what others may call.
    pub(super) fn symbols(&self) -> Option<SymbolTable<'a, Elf>> {
        let of_kind = |kind| {
            let table = self.sections.symbols(Endian, self.data, kind).ok()?;
            (!table.is_empty()).then_some(table)
        };
        of_kind(SHT_SYMTAB).or_else(|| of_kind(SHT_DYNSYM))
    }
}

#[cfg(test)]
mod tests {
    use super::{Image, MappedFile};

    #[test]
    fn this_program_has_sections_and_symbols() {
        let program = MappedFile::open("/proc/self/exe".as_ref()).expect("it runs");
        let image = Image::parse(program.bytes()).expect("it is a program");
        assert!(image.section(".text").is_some_and(|text| !text.is_empty()));
        assert!(image.section(".no_such").is_none());
        assert!(image.symbols().is_some());
    }

    #[test]
    fn what_is_no_program_is_none() {
        for path in ["/proc/self/maps", "/", "[vdso]"] {
            assert!(MappedFile::open(path.as_ref()).is_none(), "{path}");
        }
        assert!(Image::parse(b"#!/bin/sh").is_none());
    }
}
