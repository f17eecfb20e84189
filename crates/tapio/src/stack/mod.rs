//! From a copied stack to words: its frames, what they are called, and which
//! of them are the user's.
//!
//! All of it happens on the thread that finds words for reports, at leisure:
//! it reads files, allocates and takes locks.
//!
//! Reading order: `raw` is what was copied; `modules` finds the programs and
//! libraries in memory and `unwind` the frames, with a `guess` where a
//! register is not known; `symbols` names them, from a file that `image` maps, by
//! `lines`, and by `functions` where debug information is short; `origin` says
//! whose they are, by what `names` finds in a name; `text` prints them.

pub(crate) mod memory;

mod frame;
mod functions;
mod guess;
mod image;
mod lines;
mod modules;
mod names;
mod origin;
mod raw;
mod resolve;
mod symbols;
mod text;
mod unwind;

pub use self::frame::{Frame, Origin, Stack};

pub(crate) use self::raw::{RawStack, Registers};
pub(crate) use self::resolve::forget;
