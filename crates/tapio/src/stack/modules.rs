//! The program and the libraries in memory, and how to unwind through them.
//!
//! They are read from memory and not from their files: a file may have been
//! replaced since it was loaded, and the kernel's own (the vDSO, where a loop
//! around `Instant::now` spends its time) has none.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use object::NativeEndian as Endian;
use object::elf::{FileHeader64, PT_GNU_EH_FRAME, PT_LOAD, ProgramHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::memory;

/// More than this is no unwind information but a mistake.
const UNWIND_BYTES_MAX: u64 = 256 << 20;
/// The name that the kernel gives to its own.
pub(super) const VDSO: &str = "[vdso]";

/// A line of `/proc/self/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    range: Range<u64>,
    pub(super) is_executable: bool,
    offset: u64,
    path: PathBuf,
}

/// A program or library in memory.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) path: PathBuf,
    pub(super) range: Range<u64>,
    /// What to add to an address in the file to have one in memory.
    pub(super) bias: u64,
    pub(super) unwind: Option<UnwindSections>,
}

/// `.eh_frame` and its index, with where they are by the file.
#[derive(Debug)]
pub(super) struct UnwindSections {
    pub(super) index: Vec<u8>,
    pub(super) index_at: Range<u64>,
    pub(super) frames: Vec<u8>,
    pub(super) frames_at: Range<u64>,
}

/// All mappings of files, and the kernel's own code.
pub(super) fn mappings() -> Vec<Mapping> {
    // Unreadable without /proc; then nothing is known of any address.
    let maps = fs::read("/proc/self/maps").unwrap_or_default();
    let maps = String::from_utf8_lossy(&maps);
    maps.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mapping> {
    // address perms offset dev inode path; the path may hold spaces.
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let offset = fields.next()?;
    let path = fields.nth(2)?.trim_start();
    if !path.starts_with('/') && path != VDSO {
        return None;
    }
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping {
        range: hex(start)?..hex(end)?,
        is_executable: permissions.contains('x'),
        offset: hex(offset)?,
        path: path.into(),
    })
}

/// The modules that these mappings are of.
pub(super) fn modules(mappings: &[Mapping]) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for mapping in mappings {
        let is_part = modules
            .last()
            .is_some_and(|module| module.range.contains(&mapping.range.start));
        if is_part || mapping.offset != 0 {
            continue;
        }
        if let Some(module) = Module::read(mapping.range.start, &mapping.path)
            && mappings.iter().any(|other| other.is_code_of(&module))
        {
            modules.push(module);
        }
    }
    modules
}

impl Mapping {
    pub(super) fn contains(&self, address: u64) -> bool {
        self.range.contains(&address)
    }

    /// A file may also be mapped to be read, as whoever looks for its debug
    /// information does: that is no module.
    fn is_code_of(&self, module: &Module) -> bool {
        self.is_executable && self.path == module.path && module.range.contains(&self.range.start)
    }
}

impl Module {
    /// The module whose first byte is at `start`, if there is one.
    fn read(start: u64, path: &Path) -> Option<Module> {
        // Headers are in the first page, with every linker there is.
        let headers = memory::bytes(start, 4096)?;
        let file = FileHeader64::<Endian>::parse(&headers[..]).ok()?;
        let segments = file.program_headers(Endian, &headers[..]).ok()?;
        let loaded = || segments.iter().filter(|one| one.p_type(Endian) == PT_LOAD);
        let first = loaded().find(|one| one.p_offset(Endian) == 0)?;
        let end = loaded().map(svma).map(|range| range.end).max()?;
        let bias = start.wrapping_sub(first.p_vaddr(Endian));
        let unwind = segments
            .iter()
            .find(|one| one.p_type(Endian) == PT_GNU_EH_FRAME)
            .and_then(|index| UnwindSections::read(svma(index), loaded().map(svma), bias));
        Some(Module {
            path: path.into(),
            range: start..bias.wrapping_add(end),
            bias,
            unwind,
        })
    }
}

impl UnwindSections {
    fn read(
        index_at: Range<u64>,
        mut segments: impl Iterator<Item = Range<u64>>,
        bias: u64,
    ) -> Option<UnwindSections> {
        let read = |range: &Range<u64>| {
            let count = range.end.checked_sub(range.start)?;
            (count <= UNWIND_BYTES_MAX).then_some(())?;
            memory::bytes(bias.wrapping_add(range.start), count.try_into().ok()?)
        };
        let index = read(&index_at)?;
        let frames = frames_start(&index, index_at.start)?;
        // Where the section ends is not written in memory; it is within its
        // segment, and what follows it is not looked at.
        let segment = segments.find(|segment| segment.contains(&frames))?;
        let frames_at = frames..segment.end;
        Some(UnwindSections {
            frames: read(&frames_at)?,
            frames_at,
            index,
            index_at,
        })
    }
}

fn svma(segment: &ProgramHeader64<Endian>) -> Range<u64> {
    let start = segment.p_vaddr(Endian);
    start..start.saturating_add(segment.p_memsz(Endian))
}

/// Where `.eh_frame` starts, by its index: version, three encodings, and then
/// the address, which every linker stores in four bytes as the distance from
/// itself (`DW_EH_PE_pcrel | DW_EH_PE_sdata4`).
fn frames_start(index: &[u8], index_start: u64) -> Option<u64> {
    let [1, 0x1b, _, _, rest @ ..] = index else {
        return None;
    };
    let distance = i32::from_ne_bytes(*rest.first_chunk()?);
    Some((index_start + 4).wrapping_add_signed(distance.into()))
}

#[cfg(test)]
mod tests {
    use super::{Mapping, mappings, modules, parse};

    #[test]
    fn a_line_may_have_a_path_with_spaces() {
        let line = "7f00-7f10 r-xp 00001000 fe:01 42                     /opt/my app/b c.so";
        let expected = Mapping {
            range: 0x7f00..0x7f10,
            is_executable: true,
            offset: 0x1000,
            path: "/opt/my app/b c.so".into(),
        };
        assert_eq!(parse(line), Some(expected));
        let no_code = [
            "",
            "7f00-7f10 rw-p 00000000 00:00 0",
            "7f00-7f10 rw-p 00000000 00:00 0 [heap]",
            "7f00 r-xp",
        ];
        for line in no_code {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn this_program_and_the_kernels_own_are_found_with_how_to_unwind_them() {
        let modules = modules(&mappings());
        let own = mappings as *const () as u64;
        let program = modules.iter().find(|module| module.range.contains(&own));
        assert!(program.expect("it runs").unwind.is_some());
        let vdso = modules
            .iter()
            .find(|module| module.path.to_str() == Some("[vdso]"));
        // Some sandboxes have none.
        assert!(vdso.is_none_or(|module| module.unwind.is_some()));
        let is_in_order = |pair: &[super::Module]| pair[0].range.end <= pair[1].range.start;
        assert!(modules.windows(2).all(is_in_order));
    }
}
