//! From a copied stack to the addresses of its frames.

#[cfg(target_arch = "aarch64")]
use framehop::aarch64::{CacheAarch64 as Cache, UnwinderAarch64 as Native};
#[cfg(not(target_arch = "aarch64"))]
use framehop::x86_64::{CacheX86_64 as Cache, UnwinderX86_64 as Native};
use framehop::{Error, ExplicitModuleSectionInfo, FrameAddress, Unwinder as _};

use super::modules::{self, Mapping, Module};
use super::raw::{RawStack, Registers};

/// Frames of one stack at most.
const FRAMES_MAX: usize = 1024;

/// Finds frames, and remembers what is in memory for the next time.
pub(super) struct Unwinder {
    /// Of code: by these one sees whether anything has changed.
    code: Vec<Mapping>,
    modules: Vec<Module>,
    native: Native<Vec<u8>>,
    cache: Cache,
}

/// The frames of one stack.
pub(super) struct Unwound {
    /// From the innermost on, an address within the instruction that each is
    /// at.
    pub(super) addresses: Vec<u64>,
    /// Why outer ones are missing, if any are.
    pub(super) end: Option<String>,
}

impl Unwinder {
    pub(super) fn new() -> Unwinder {
        Unwinder {
            code: Vec::new(),
            modules: Vec::new(),
            native: Native::new(),
            cache: Cache::new(),
        }
    }

    /// Looks again at what is in memory; says whether that has changed.
    pub(super) fn refresh(&mut self) -> bool {
        let mappings = modules::mappings();
        let is_code = |mapping: &&Mapping| mapping.is_executable;
        let code: Vec<Mapping> = mappings.iter().filter(is_code).cloned().collect();
        if code == self.code {
            return false;
        }
        self.modules = modules::modules(&mappings);
        self.code = code;
        self.native = Native::new();
        for module in &mut self.modules {
            self.native.add_module(to_native(module));
        }
        true
    }

    /// The module that an address is in.
    pub(super) fn module(&self, address: u64) -> Option<&Module> {
        let mut modules = self.modules.iter();
        modules.find(|module| module.range.contains(&address))
    }

    pub(super) fn unwind(&mut self, raw: &RawStack) -> Unwound {
        let mut addresses = Vec::new();
        let mut read = |address| raw.word(address).ok_or(());
        let registers = &raw.registers;
        let (pc, native) = (registers.pc, to_registers(registers));
        let mut frames = self
            .native
            .iter_frames(pc, native, &mut self.cache, &mut read);
        let end = loop {
            match frames.next() {
                Ok(Some(frame)) if addresses.len() < FRAMES_MAX => {
                    addresses.push(lookup(frame));
                }
                Ok(Some(_)) => break Some(format!("only {FRAMES_MAX} frames are shown")),
                Ok(None) | Err(Error::ReturnAddressIsNull) => break None,
                Err(error) => break Some(why_it_ends(raw, error)),
            }
        };
        // A guess from the frame pointer, where nothing says how to unwind,
        // may lead out of all code.
        while let [_, .., last] = addresses[..]
            && end.is_some()
            && self.module(last).is_none()
        {
            addresses.pop();
        }
        Unwound { addresses, end }
    }
}

fn why_it_ends(raw: &RawStack, error: Error) -> String {
    let copied = size_of_val(&*raw.words);
    let copied_end = raw.registers.sp.saturating_add(copied as u64);
    match error {
        Error::CouldNotReadStack(address) if raw.is_cut && address >= copied_end => {
            format!(
                "only the innermost {} KiB of the stack are copied",
                copied >> 10
            )
        }
        _ => "there is code on the stack without unwind information".into(),
    }
}

/// A return address is after the call, maybe in another line or function.
fn lookup(frame: FrameAddress) -> u64 {
    frame.address_for_lookup()
}

#[cfg(target_arch = "aarch64")]
fn to_registers(from: &Registers) -> framehop::aarch64::UnwindRegsAarch64 {
    framehop::aarch64::UnwindRegsAarch64::new(from.lr, from.sp, from.fp)
}

#[cfg(not(target_arch = "aarch64"))]
fn to_registers(from: &Registers) -> framehop::x86_64::UnwindRegsX86_64 {
    framehop::x86_64::UnwindRegsX86_64::new(from.pc, from.sp, from.fp)
}

/// Moves what is to be unwound with out of `module`.
fn to_native(module: &mut Module) -> framehop::Module<Vec<u8>> {
    let sections = match module.unwind.take() {
        Some(unwind) => ExplicitModuleSectionInfo {
            eh_frame_hdr_svma: Some(unwind.index_at),
            eh_frame_hdr: Some(unwind.index),
            eh_frame_svma: Some(unwind.frames_at),
            eh_frame: Some(unwind.frames),
            ..Default::default()
        },
        None => ExplicitModuleSectionInfo::default(),
    };
    let name = module.path.to_string_lossy().into_owned();
    framehop::Module::new(name, module.range.clone(), module.bias, sections)
}
