//! From what was copied to frames with names.

use parking_lot::Mutex;

use super::frame::{Frame, Origin, Stack};
use super::raw::RawStack;
use super::symbols::Symbols;
use super::unwind::{Unwinder, Unwound};

/// What is remembered from one stack to the next.
struct Resolver {
    unwinder: Unwinder,
    symbols: Symbols,
}

static RESOLVER: Mutex<Option<Resolver>> = Mutex::new(None);

impl RawStack {
    /// Finds the frames and their names. Reads files and takes locks: not on a
    /// thread that anybody waits for.
    pub(crate) fn resolve(&self) -> Stack {
        let mut resolver = RESOLVER.lock();
        let resolver = resolver.get_or_insert_with(|| Resolver {
            unwinder: Unwinder::new(),
            symbols: Symbols::new(),
        });
        resolver.resolve(self)
    }
}

/// Forgets what was read for the last stacks: how to unwind, and names.
pub(crate) fn forget() {
    *RESOLVER.lock() = None;
}

impl Resolver {
    fn resolve(&mut self, raw: &RawStack) -> Stack {
        let mut unwound = self.unwinder.unwind(raw);
        let is_known = |address: &u64| self.unwinder.module(*address).is_some();
        let is_all_known = unwound.end.is_none() && unwound.addresses.iter().all(is_known);
        // A library may have come since the last time.
        if !is_all_known && self.unwinder.refresh() {
            self.symbols.forget();
            unwound = self.unwinder.unwind(raw);
        }
        let mut frames = self.name(&unwound);
        self.symbols.find_dropped(&mut frames);
        let mut notes: Vec<String> = unwound
            .end
            .map(|why| format!("outer frames are missing: {why}"))
            .into_iter()
            .collect();
        notes.extend(self.what_is_lacking(&frames).map(Into::into));
        Stack { frames, notes }
    }

    fn name(&mut self, unwound: &Unwound) -> Vec<Frame> {
        let place = |address: &u64| (*address, self.unwinder.module(*address));
        let places: Vec<_> = unwound.addresses.iter().map(place).collect();
        let known = self.symbols.at(&places).into_iter().enumerate();
        let frames = known.flat_map(|(index, frames)| {
            let frame = |frame: &Frame| Frame {
                is_innermost: index == 0,
                ..frame.clone()
            };
            frames.iter().map(frame).collect::<Vec<_>>()
        });
        frames.collect()
    }

    /// What to do when the program does not say where its lines are.
    fn what_is_lacking(&self, frames: &[Frame]) -> Option<&'static str> {
        let is_in_program = |frame: &&Frame| {
            let module = self.unwinder.module(frame.address);
            module.is_some_and(|module| self.symbols.is_program(&module.path))
        };
        let mut own = frames.iter().filter(is_in_program).peekable();
        own.peek()?;
        if own.clone().all(|frame| frame.function.is_none()) {
            return Some(
                "no names: the program is stripped; set strip = false and debug = \
                 \"line-tables-only\" in its profile in Cargo.toml",
            );
        }
        // Without lines a user's function that was inlined into the runtime's
        // cannot be seen; of the standard library there may be lines all the
        // same.
        let has_line = |frame: &Frame| frame.line.is_some();
        let mut users = own
            .clone()
            .filter(|frame| frame.origin == Origin::User)
            .peekable();
        let is_lacking = if users.peek().is_some() {
            !users.any(has_line)
        } else {
            !own.any(has_line)
        };
        is_lacking.then_some(
            "no line tables: set debug = \"line-tables-only\" in the program's profile in \
             Cargo.toml",
        )
    }
}
