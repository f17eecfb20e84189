//! Atomics as the models see them: loom's under `--cfg tapio_model`, the
//! standard library's otherwise.

#[cfg(not(tapio_model))]
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering, fence};

#[cfg(tapio_model)]
pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering, fence};
