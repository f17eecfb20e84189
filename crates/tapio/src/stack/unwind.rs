//! From a copied stack to the addresses of its frames.

#[cfg(target_arch = "aarch64")]
use framehop::aarch64::{CacheAarch64 as Cache, UnwinderAarch64 as Native};
#[cfg(not(target_arch = "aarch64"))]
use framehop::x86_64::{CacheX86_64 as Cache, UnwinderX86_64 as Native};
use framehop::{Error, ExplicitModuleSectionInfo, FrameAddress, Unwinder as _};

use super::guess;
use super::modules::{self, Mapping, Module};
use super::raw::{RawStack, Registers};

/// Frames of one stack at most.
const FRAMES_MAX: usize = 1024;
/// Nothing is there, and it is not what says that a stack ends.
const NO_FRAME_POINTER: u64 = 8;
/// So many guesses are made for a frame pointer that is not known.
const GUESSES_MAX: usize = 256;

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
    /// Whether they are since no more of the stack was copied.
    is_cut: bool,
    /// The stack pointer in the outermost frame.
    sp: u64,
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
        // Without a free descriptor there is nothing new to be known.
        if code.is_empty() || code == self.code {
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

    fn is_code(&self, address: u64) -> bool {
        self.code.iter().any(|mapping| mapping.contains(address))
    }

    pub(super) fn unwind(&mut self, raw: &RawStack) -> Unwound {
        if let Some(fp) = raw.registers.fp {
            return self.unwind_from(raw, fp);
        }
        // Mostly no function on the way needs it before one has stored it.
        let without = self.unwind_from(raw, NO_FRAME_POINTER);
        if without.end.is_none() || without.is_cut {
            return without;
        }
        let guesses = guess::frame_pointers(raw, without.sp, |address| self.is_code(address));
        let guesses: Vec<u64> = guesses.take(GUESSES_MAX).collect();
        // One may be right if the way from there ends where all stacks do.
        let known = without.addresses.len();
        let possible = guesses.into_iter().filter_map(|fp| {
            let unwound = self.unwind_from(raw, fp);
            let mut addresses = unwound.addresses.iter();
            let is_possible = (unwound.end.is_none() || unwound.is_cut)
                && addresses.all(|&address| self.is_code(address));
            is_possible.then_some(unwound)
        });
        let misfit = |unwound: &Unwound| match unwound.addresses.get(known - 1..=known) {
            // Before what is returned to, and after the call.
            Some(&[callee, caller]) => guess::misfit(caller + 1, callee),
            _ => u64::MAX,
        };
        // Of equals the innermost.
        possible.min_by_key(misfit).unwrap_or(without)
    }

    fn unwind_from(&mut self, raw: &RawStack, fp: u64) -> Unwound {
        let mut read = |address| raw.word(address).ok_or(());
        let mut registers = to_registers(&raw.registers, fp);
        let mut address = FrameAddress::from_instruction_pointer(raw.registers.pc);
        let mut addresses = Vec::new();
        let mut is_cut = false;
        let (end, sp) = loop {
            // A return address is after the call, maybe in another line or
            // function: this one is before it.
            addresses.push(address.address_for_lookup());
            let sp = registers.sp();
            let next =
                self.native
                    .unwind_frame(address, &mut registers, &mut self.cache, &mut read);
            let next = next.map(|next| next.map(FrameAddress::from_return_address));
            let end = match next {
                Ok(Some(Some(_))) if addresses.len() == FRAMES_MAX => {
                    Some(format!("only {FRAMES_MAX} frames are shown"))
                }
                Ok(Some(Some(next))) => {
                    address = next;
                    continue;
                }
                // Of a register that is not known: not the end.
                #[cfg(target_arch = "aarch64")]
                Ok(Some(None)) | Err(Error::ReturnAddressIsNull)
                    if raw.registers.lr.is_none() && addresses.len() == 1 =>
                {
                    Some("where a system call returns to is not known".into())
                }
                Ok(Some(None) | None) | Err(Error::ReturnAddressIsNull) => None,
                Err(error) => {
                    is_cut = is_beyond(raw, error);
                    Some(why_it_ends(raw, is_cut))
                }
            };
            break (end, sp);
        };
        // A guess from the frame pointer, where nothing says how to unwind,
        // may lead out of all code.
        while let [_, .., last] = addresses[..]
            && end.is_some()
            && self.module(last).is_none()
        {
            addresses.pop();
        }
        Unwound {
            addresses,
            end,
            is_cut,
            sp,
        }
    }
}

/// Whether the stack goes on, and was not copied that far.
fn is_beyond(raw: &RawStack, error: Error) -> bool {
    let copied = size_of_val(&*raw.words) as u64;
    let copied_end = raw.registers.sp.saturating_add(copied);
    matches!(error, Error::CouldNotReadStack(address) if raw.is_cut && address >= copied_end)
}

fn why_it_ends(raw: &RawStack, is_cut: bool) -> String {
    if !is_cut {
        return "there is code on the stack without unwind information".into();
    }
    let copied = size_of_val(&*raw.words) >> 10;
    format!("only the innermost {copied} KiB of the stack are copied")
}

#[cfg(target_arch = "aarch64")]
fn to_registers(from: &Registers, fp: u64) -> framehop::aarch64::UnwindRegsAarch64 {
    // Where it is not known, and the innermost function has not stored it, the
    // frames after that one are missing.
    framehop::aarch64::UnwindRegsAarch64::new(from.lr.unwrap_or(0), from.sp, fp)
}

#[cfg(not(target_arch = "aarch64"))]
fn to_registers(from: &Registers, fp: u64) -> framehop::x86_64::UnwindRegsX86_64 {
    framehop::x86_64::UnwindRegsX86_64::new(from.pc, from.sp, fp)
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
