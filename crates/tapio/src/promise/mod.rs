//! Promises: a value that somebody else will bring, and callbacks.
//!
//! A promise is a future without a task behind it. Whoever holds its
//! [`Resolver`] brings the value, from any thread, a callback, or C code. The
//! same program can be written in three styles:
//!
//! | style | a step | in |
//! |---|---|---|
//! | callbacks | says what to call when it is done | `examples/style_callbacks.rs` |
//! | promises | gives a value that is to come | `examples/style_promises.rs` |
//! | async/await | is awaited | `examples/style_await.rs` |
//!
//! From one to another:
//!
//! | from | to | by |
//! |---|---|---|
//! | a callback API | a future | [`from_callback`] |
//! | a future | a promise | `tapio::spawn`: its [`JoinHandle`] is one that is kept by a task |
//! | a task | a callback | [`JoinHandle::on_complete`] |
//! | a promise | a callback | [`Promise::on_complete`] |
//!
//! [`JoinHandle`]: crate::task::JoinHandle
//! [`JoinHandle::on_complete`]: crate::task::JoinHandle::on_complete
//!
//! # APIs that take a callback
//! An API that calls once takes [`Resolver::into_callback`]; one that might
//! call again, [`Resolver::into_fn`]; one that calls with an error or a value,
//! as Node's do, [`Resolver::into_node_callback`]; one in C, with a pointer
//! for the user, [`Resolver::into_raw`].
//!
//! # Callbacks that answer at once
//! Nothing here minds whether an API calls back before it returns or later.

// Reading order: `future` is what is waited for, `resolver` brings it,
// `callbacks` are the resolver's other shapes.

mod callbacks;
mod future;
mod resolver;

pub use self::future::{Broken, Promise, from_callback, promise};
pub use self::resolver::Resolver;
