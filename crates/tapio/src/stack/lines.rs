//! Which line of the source an address is of, and what is inlined there, by a
//! program's debug information.
//!
//! Of that only the parts are read that some address needs: the index of
//! addresses, and then the one unit that an address is in. A library that is
//! made to answer many questions reads something of every unit first, which in
//! a program of ten thousand functions takes tens of megabytes.

use std::collections::HashSet;
use std::path::PathBuf;
use std::rc::Rc;

use gimli::{AttributeValue, DebugInfoOffset, EndianSlice, EntriesRaw, NativeEndian, UnitOffset};

use super::functions::demangled;
use super::image::Image;

type Slice<'a> = EndianSlice<'a, NativeEndian>;
type Unit<'a> = gimli::Unit<Slice<'a>>;
type Value<'a> = AttributeValue<Slice<'a>>;

/// The index of an address, and a unit that claims it.
type Found = (usize, DebugInfoOffset);

/// A name may be said elsewhere, and there again elsewhere.
const REFERENCES_MAX: usize = 16;

/// A function at an address, and where it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) function: Option<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) line: Option<u32>,
}

/// The debug information of a file.
pub(super) struct DebugInfo<'a> {
    dwarf: gimli::Dwarf<Slice<'a>>,
    /// Those that were needed so far, by where they begin.
    units: Vec<(usize, Rc<Unit<'a>>)>,
}

impl<'a> DebugInfo<'a> {
    /// `None` where the file has none, or none that can be read in place.
    pub(super) fn of(image: &Image<'a>) -> Option<DebugInfo<'a>> {
        image.section(".debug_info")?;
        let section = |id: gimli::SectionId| {
            let section = image.section(id.name()).unwrap_or_default();
            Ok::<_, gimli::Error>(EndianSlice::new(section, NativeEndian))
        };
        Some(DebugInfo {
            dwarf: gimli::Dwarf::load(section).ok()?,
            units: Vec::new(),
        })
    }

    /// For each of these addresses, which are in order, the functions there:
    /// the one that it is in, after those that are inlined. None for one that
    /// nothing is known of. `is_worth_more` says of which it is worth to look
    /// at every unit, if the index does not know them: some compilers make no
    /// index.
    pub(super) fn places(
        &mut self,
        addresses: &[u64],
        is_worth_more: impl Fn(usize) -> bool,
    ) -> Vec<Vec<Place>> {
        let mut places = vec![Vec::new(); addresses.len()];
        let (indexed, found) = self.units_by_index(addresses);
        self.look_in(found, addresses, &mut places);
        let mut rest = places.iter().enumerate();
        let is_indexed = !indexed.is_empty();
        let is_wanted = |index| !is_indexed || is_worth_more(index);
        if rest.any(|(index, places)| places.is_empty() && is_wanted(index)) {
            let found = self.units_by_themselves(addresses, &indexed);
            self.look_in(found, addresses, &mut places);
        }
        places
    }

    fn look_in(&mut self, found: Vec<Found>, addresses: &[u64], places: &mut [Vec<Place>]) {
        for (index, unit) in found {
            // More than one unit may claim an address.
            if places[index].is_empty() {
                places[index] = self.places_in(unit, addresses[index]).unwrap_or_default();
            }
        }
    }

    /// The units in the index of addresses, and those that these are in.
    fn units_by_index(&self, addresses: &[u64]) -> (HashSet<DebugInfoOffset>, Vec<Found>) {
        let (mut indexed, mut found) = (HashSet::new(), Vec::new());
        let mut headers = self.dwarf.debug_aranges.headers();
        while let Ok(Some(header)) = headers.next() {
            let unit = header.debug_info_offset();
            indexed.insert(unit);
            let mut entries = header.entries();
            while let Ok(Some(entry)) = entries.next() {
                found.extend(within(addresses, entry.range()).map(|index| (index, unit)));
            }
        }
        (indexed, found)
    }

    /// The same, by what the units that are not in the index say themselves.
    fn units_by_themselves(
        &self,
        addresses: &[u64],
        indexed: &HashSet<DebugInfoOffset>,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        let mut headers = self.dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let offset = header.debug_info_offset();
            let Some(offset) = offset.filter(|offset| !indexed.contains(offset)) else {
                continue;
            };
            // Read and forgotten again, one after the other.
            if let Ok(unit) = self.dwarf.unit(header)
                && let Ok(mut ranges) = self.dwarf.unit_ranges(&unit)
            {
                while let Ok(Some(range)) = ranges.next() {
                    found.extend(within(addresses, range).map(|index| (index, offset)));
                }
            }
        }
        found
    }

    fn places_in(&mut self, unit: DebugInfoOffset, address: u64) -> gimli::Result<Vec<Place>> {
        let unit = self.unit(unit)?;
        let innermost = self.line(&unit, address)?;
        let functions = self.functions(&unit, address)?;
        let mut at = innermost.unwrap_or_default();
        if functions.is_empty() {
            return Ok(at.file.is_some().then_some(at).into_iter().collect());
        }
        let mut places = Vec::with_capacity(functions.len());
        for offset in functions.into_iter().rev() {
            at.function = self.name(&unit, offset, REFERENCES_MAX);
            places.push(at);
            at = self.call(&unit, offset)?;
        }
        Ok(places)
    }

    /// The unit that begins here.
    fn unit(&mut self, offset: DebugInfoOffset) -> gimli::Result<Rc<Unit<'a>>> {
        if let Some((_, unit)) = self.units.iter().find(|(at, _)| *at == offset.0) {
            return Ok(Rc::clone(unit));
        }
        let header = self.dwarf.unit_header(offset)?;
        let unit = Rc::new(self.dwarf.unit(header)?);
        self.units.push((offset.0, Rc::clone(&unit)));
        Ok(unit)
    }

    /// The unit that an entry of any is in, and where it is there.
    fn unit_around(&mut self, offset: DebugInfoOffset) -> Option<(Rc<Unit<'a>>, UnitOffset)> {
        let mut headers = self.dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            if let Some(inside) = offset.to_unit_offset(&header) {
                let unit = self.unit(header.debug_info_offset()?).ok()?;
                return Some((unit, inside));
            }
        }
        None
    }

    /// The entries of the functions at an address: the one that it is in, then
    /// what is inlined there, each into the one before.
    fn functions(&self, unit: &Unit<'a>, address: u64) -> gimli::Result<Vec<UnitOffset>> {
        let mut found: Vec<(UnitOffset, isize)> = Vec::new();
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            if found
                .first()
                .is_some_and(|(_, outermost)| depth <= *outermost)
            {
                break;
            }
            let Some(abbreviation) = entries.read_abbreviation()? else {
                continue;
            };
            let is_candidate = match found.last() {
                None => abbreviation.tag() == gimli::DW_TAG_subprogram,
                Some((_, last)) => {
                    abbreviation.tag() == gimli::DW_TAG_inlined_subroutine && depth > *last
                }
            };
            let attributes = abbreviation.attributes();
            if !is_candidate {
                entries.skip_attributes(attributes)?;
            } else if self.contains(unit, &mut entries, attributes, address)? {
                found.push((offset, depth));
            }
        }
        Ok(found.into_iter().map(|(offset, _)| offset).collect())
    }

    /// Reads the attributes of an entry; returns whether it covers an address.
    fn contains(
        &self,
        unit: &Unit<'a>,
        entries: &mut EntriesRaw<'_, Slice<'a>>,
        attributes: &[gimli::AttributeSpecification],
        address: u64,
    ) -> gimli::Result<bool> {
        let (mut low, mut high, mut ranges) = (None, None, None);
        for attribute in attributes {
            let attribute = entries.read_attribute(*attribute)?;
            match attribute.name() {
                gimli::DW_AT_low_pc => low = self.dwarf.attr_address(unit, attribute.value())?,
                gimli::DW_AT_high_pc => high = Some(attribute.value()),
                gimli::DW_AT_ranges => {
                    ranges = self.dwarf.attr_ranges_offset(unit, attribute.value())?;
                }
                _ => {}
            }
        }
        if let Some(ranges) = ranges {
            let mut ranges = self.dwarf.ranges(unit, ranges)?;
            while let Some(range) = ranges.next()? {
                if (range.begin..range.end).contains(&address) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let (Some(low), Some(high)) = (low, high) else {
            return Ok(false);
        };
        let end = match high.udata_value() {
            Some(size) => low.saturating_add(size),
            None => self.dwarf.attr_address(unit, high)?.unwrap_or(low),
        };
        Ok((low..end).contains(&address))
    }

    fn name(&mut self, unit: &Unit<'a>, offset: UnitOffset, references: usize) -> Option<String> {
        let entry = unit.entry(offset).ok()?;
        let names = [
            gimli::DW_AT_linkage_name,
            gimli::DW_AT_MIPS_linkage_name,
            gimli::DW_AT_name,
        ];
        for name in names.into_iter().filter_map(|name| entry.attr_value(name)) {
            if let Ok(name) = self.dwarf.attr_string(unit, name) {
                return Some(demangled(name.slice()));
            }
        }
        let elsewhere = entry
            .attr_value(gimli::DW_AT_abstract_origin)
            .or_else(|| entry.attr_value(gimli::DW_AT_specification))?;
        let references = references.checked_sub(1)?;
        match elsewhere {
            AttributeValue::UnitRef(offset) => self.name(unit, offset, references),
            AttributeValue::DebugInfoRef(offset) => {
                let (unit, offset) = self.unit_around(offset)?;
                self.name(&unit, offset, references)
            }
            _ => None,
        }
    }

    /// Where an inlined function is called.
    fn call(&self, unit: &Unit<'a>, inlined: UnitOffset) -> gimli::Result<Place> {
        let entry = unit.entry(inlined)?;
        let number = |value: Option<Value<'a>>| value.and_then(|value| value.udata_value());
        let file = match entry.attr_value(gimli::DW_AT_call_file) {
            Some(AttributeValue::FileIndex(index)) => Some(index),
            other => number(other),
        };
        let line = number(entry.attr_value(gimli::DW_AT_call_line));
        Ok(Place {
            function: None,
            file: file.and_then(|index| self.file(unit, index)),
            line: line.and_then(|line| line.try_into().ok()),
        })
    }

    /// The line of an address.
    fn line(&self, unit: &Unit<'a>, address: u64) -> gimli::Result<Option<Place>> {
        let Some(program) = unit.line_program.clone() else {
            return Ok(None);
        };
        let mut rows = program.rows();
        // Address and file of the last row, which holds up to the next; and
        // its line.
        let mut last: Option<(u64, u64)> = None;
        let mut line: Option<u32> = None;
        // The file of the row that the address is of.
        let mut found = None;
        while let Some((_, row)) = rows.next_row()? {
            let is_here = |(start, _): &(u64, _)| (*start..row.address()).contains(&address);
            found = found.or_else(|| last.filter(is_here).map(|(_, file)| file));
            if found.is_some() && (line.is_some() || row.end_sequence()) {
                break;
            }
            // Code that is of no line, as what a loop reads again, is near that
            // which follows.
            let is_near = found.is_none_or(|file| file == row.file_index());
            line = row.line().and_then(|line| line.get().try_into().ok());
            line = line.filter(|_| is_near);
            last = (!row.end_sequence()).then_some((row.address(), row.file_index()));
        }
        Ok(found.map(|file| Place {
            function: None,
            file: self.file(unit, file),
            line,
        }))
    }

    /// The path of a file of a unit's list.
    fn file(&self, unit: &Unit<'a>, index: u64) -> Option<PathBuf> {
        let header = unit.line_program.as_ref()?.header();
        let file = header.file(index)?;
        let text = |value| {
            let text = self.dwarf.attr_string(unit, value).ok()?;
            Some(text.to_string_lossy().into_owned())
        };
        let mut path = PathBuf::new();
        if let Some(compiled_in) = unit.comp_dir {
            path.push(&*compiled_in.to_string_lossy());
        }
        // The first one is where the unit was compiled.
        if file.directory_index() != 0 {
            path.extend(file.directory(header).and_then(text));
        }
        path.push(text(file.path_name())?);
        Some(path)
    }
}

/// The indices of those of `addresses`, which are in order, that are in a
/// range. What a linker left out is said to be at 0.
fn within(addresses: &[u64], range: gimli::Range) -> impl Iterator<Item = usize> {
    let begin = addresses.partition_point(|address| *address < range.begin);
    let end = addresses.partition_point(|address| *address < range.end);
    let is_there = range.begin != 0 && begin < end;
    if is_there { begin..end } else { 0..0 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::ptr;

    use super::super::functions::demangled;
    use super::super::image::{Image, MappedFile};
    use super::super::modules::{mappings, modules};
    use super::{DebugInfo, Place};

    /// Addresses all over the code of this program.
    const SAMPLES: u64 = 40;

    /// What the crate `backtrace` says.
    fn others(address: u64) -> Vec<Place> {
        let mut places = Vec::new();
        let after = ptr::without_provenance_mut(address as usize + 1);
        backtrace::resolve(after, |symbol| {
            places.push(Place {
                function: symbol.name().map(|name| demangled(name.as_bytes())),
                file: symbol.filename().map(Path::to_path_buf),
                line: symbol.lineno(),
            });
        });
        places
    }

    #[test]
    fn what_is_read_in_part_is_what_is_read_in_whole() {
        let modules = modules(&mappings());
        let own = mappings as *const () as u64;
        let module = modules.iter().find(|module| module.range.contains(&own));
        let module = module.expect("it is in memory");
        let program = MappedFile::open("/proc/self/exe".as_ref()).expect("it runs");
        let image = Image::parse(program.bytes()).expect("it is a program");
        let mut lines = DebugInfo::of(&image).expect("tests have debug information");
        let length = module.range.end - module.range.start;
        let addresses = (1..SAMPLES).map(|part| length * part / SAMPLES);
        let addresses: BTreeSet<u64> = addresses.chain([own - module.bias]).collect();
        let addresses: Vec<u64> = addresses.into_iter().collect();
        let mut known = 0;
        let all = lines.places(&addresses, |_| true);
        for (address, mut places) in addresses.iter().zip(all) {
            let others = others(address + module.bias);
            if places.is_empty() {
                assert!(
                    others.iter().all(|other| other.file.is_none()),
                    "{others:?}"
                );
                continue;
            }
            known += 1;
            // Where it finds no line, there is one near.
            for (place, other) in places.iter_mut().zip(&others) {
                place.line = place.line.filter(|_| other.line.is_some());
                // Line tables alone do not name a function that nothing is
                // inlined into; its symbol does.
                if place.function.is_none() {
                    place.function.clone_from(&other.function);
                }
            }
            assert_eq!(places, others, "{address:#x}");
        }
        assert!(known > 10, "{known} of {}", addresses.len());
    }
}
