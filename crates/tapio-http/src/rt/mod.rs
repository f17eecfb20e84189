//! hyper's view of the runtime: where to spawn, how to wait, how to read.
//!
//! hyper names no runtime; it is handed one through the traits of
//! [`hyper::rt`]. [`serve`](crate::serve()) does that by itself. These types are
//! for everything else that hyper can do, clients above all: see
//! `examples/client.rs`.

mod executor;
mod io;
mod timer;

pub use executor::TapioExecutor;
pub use io::TapioIo;
pub use timer::TapioTimer;

pub(crate) use io::read_into;
pub(crate) use timer::now;
