//! A stack whose frames have names.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use super::names::{bare_part, is_allocator};

/// An allocator is no deeper inside of its entry than this.
const ALLOCATOR_FRAMES_MAX: usize = 32;

/// Where a thread is: the functions that it is in, from the innermost on.
///
/// It prints as the user's own frames, each with its file and line, and what
/// the innermost of them has called; the frames of the runtime, of the standard
/// library and of the system are left out. Paths below the current directory
/// are printed as relative ones.
#[derive(Clone, Debug)]
pub struct Stack {
    pub(super) frames: Vec<Frame>,
    /// What is to be said of it besides, in whole sentences' halves.
    pub(super) notes: Vec<String>,
}

/// A function that a thread is in, by itself or inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Its name with its path, as `myapp::orders::digest`; a closure or an
    /// `async` block goes by the function that it is written in. Of a function
    /// that is inlined, line tables alone tell the last part, and of an inlined
    /// closure nothing.
    pub function: Option<String>,
    /// The file that it is written in, as the debug information has it.
    pub file: Option<PathBuf>,
    /// The line that it is at.
    pub line: Option<u32>,
    /// Whose code it is.
    pub origin: Origin,
    /// An address in it, in memory.
    pub(super) address: u64,
    /// Where the function that it is, or that it is inlined into, begins; the
    /// address itself where that is unknown.
    pub(super) start: u64,
    /// `program+0x1234`, which `addr2line` understands.
    pub(super) offset: String,
    /// Whether the thread is in this very function and not in one that it has
    /// called.
    pub(super) is_innermost: bool,
}

/// Whose code a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The program's own: what is not one of the others.
    User,
    /// A package that Cargo fetched: its file is in a registry's or a
    /// repository's checkout, or in `vendor/`.
    Dependency,
    /// The runtime, the standard library, or the system.
    System,
}

impl Stack {
    /// The frames, from the innermost on.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The innermost frame in the program's own code; in a dependency's, if
    /// there is none of the program's.
    #[must_use]
    pub fn top_user_frame(&self) -> Option<&Frame> {
        let first = |origin| self.frames.iter().find(|frame| frame.origin == origin);
        first(Origin::User).or_else(|| first(Origin::Dependency))
    }

    /// The functions inside of the user's innermost one, from the innermost on.
    pub(crate) fn inside(&self) -> impl Iterator<Item = &Frame> {
        let frames = self.frames.iter();
        frames.take_while(|frame| frame.origin == Origin::System)
    }

    /// What the functions are called that the user's innermost one has called,
    /// directly or not: the last part of each name.
    pub(crate) fn calls(&self) -> impl Iterator<Item = &str> {
        let frames = self.frames.iter();
        let inside = frames.take_while(|frame| frame.origin != Origin::User);
        inside.filter_map(|frame| Some(bare_part(frame.function.as_deref()?)))
    }

    /// Whether the thread gets memory or gives it back, in what is not the
    /// user's code: a global allocator of his own is one all the same.
    pub(crate) fn is_allocating(&self) -> bool {
        let functions = self.frames.iter().take(ALLOCATOR_FRAMES_MAX);
        functions
            .take_while(|frame| frame.origin != Origin::User || frame.is_allocator())
            .any(Frame::is_allocator)
    }

    /// Equal for stacks that come from the same place of the user's code: the
    /// same calls, and within the innermost function, if it computes, wherever
    /// it is at the moment and whatever it calls there.
    pub(crate) fn key(&self, is_computing: bool) -> u64 {
        let mut hasher = DefaultHasher::new();
        let top = self.top_user_frame();
        let origin = top.map(|frame| frame.origin);
        let moving = top.filter(|_| is_computing).map(|frame| frame.address);
        let is_of_it = |frame: &&Frame| origin.is_none_or(|origin| frame.origin == origin);
        let mut frames: Vec<&Frame> = self.frames.iter().filter(is_of_it).collect();
        // What is inlined at an address changes as the thread moves.
        frames.dedup_by_key(|frame| frame.address);
        for frame in frames {
            let is_moving = frame.is_innermost || Some(frame.address) == moving;
            let place = if is_moving {
                frame.start
            } else {
                frame.address
            };
            place.hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Frame {
    fn is_allocator(&self) -> bool {
        self.function.as_deref().is_some_and(is_allocator)
    }
}

#[cfg(test)]
impl Stack {
    /// A stack that somebody has made up.
    pub(crate) fn of_functions(functions: &[(&str, Origin)]) -> Stack {
        let frames = functions.iter().map(|(function, origin)| Frame {
            function: Some((*function).into()),
            file: None,
            line: None,
            origin: *origin,
            address: 0,
            start: 0,
            offset: String::new(),
            is_innermost: false,
        });
        Stack {
            frames: frames.collect(),
            notes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, Origin, Stack};

    /// A stack of addresses and the beginnings of what they are in.
    fn stack(places: &[(u64, u64)]) -> Stack {
        let frames = places.iter().map(|&(address, start)| Frame {
            function: None,
            file: None,
            line: None,
            origin: Origin::User,
            address,
            start,
            offset: String::new(),
            is_innermost: address == places[0].0,
        });
        Stack {
            frames: frames.collect(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn what_computes_is_one_wherever_it_is_in_its_function() {
        let key = |places| stack(places).key(true);
        let once = key(&[(0x13, 0x10), (0x25, 0x20)]);
        assert_eq!(once, key(&[(0x17, 0x10), (0x25, 0x20)]), "further on");
        let inlined = key(&[(0x13, 0x10), (0x13, 0x10), (0x25, 0x20)]);
        assert_eq!(once, inlined, "in what is inlined there");
        assert_ne!(once, key(&[(0x33, 0x30), (0x25, 0x20)]), "another function");
        assert_ne!(
            once,
            key(&[(0x13, 0x10), (0x28, 0x20)]),
            "another call of it"
        );
    }
}
