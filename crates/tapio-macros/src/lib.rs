//! The attribute macros of the tapio runtime: `#[tapio::main]` and `#[tapio::test]`.
//!
//! Users reach them through `tapio`, which re-exports `main` and `test` when
//! its `rt-multi-thread` feature is on and `main_rt` and `test_rt` under the
//! same two names when it is not.
//!
//! Reading order: `entry` strings the steps together, `args` reads what
//! stands in the parentheses, `function` takes the annotated function apart
//! without parsing its body, `expand` writes the new one, and `krate` finds
//! the name that the user's manifest gives the crate.

mod args;
mod entry;
mod expand;
mod function;
mod krate;

use proc_macro::TokenStream;

use crate::entry::Kind;

/// Runs an `async fn` on a runtime made for it and blocks until it returns.
///
/// It is meant for `main`, though it works on any function that is not
/// `async` for its callers: each call makes a runtime and shuts it down.
///
/// ```text
/// #[tapio::main]
/// async fn main() {
///     println!("hello");
/// }
/// ```
///
/// stands for
///
/// ```text
/// fn main() {
///     tapio::runtime::Builder::new_multi_thread()
///         .enable_all()
///         .build()
///         .expect("...")
///         .block_on(async { println!("hello") })
/// }
/// ```
///
/// # Arguments
///
/// - `flavor = "multi_thread"` (the default) or `flavor = "current_thread"`.
/// - `worker_threads = N`: how many workers the multi-threaded flavor starts;
///   as many as there are cores if absent.
/// - `unhandled_panic = "ignore"` (the default) or
///   `unhandled_panic = "shutdown_runtime"`: what a panic in a task does to the
///   runtime.
/// - `name = "..."`: the name of the runtime, for reports and metrics.
/// - `crate = "path"`: the path of the crate, needed only where the manifest
///   does not name it, as when another crate re-exports it.
///
/// The expansion uses the name that `Cargo.toml` gives the package, so
/// `tokio = { package = "tapio" }` makes this `#[tokio::main]`.
///
/// # Panics
///
/// The function panics if the runtime cannot be built.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::run(Kind::Main, true, args.into(), item.into()).into()
}

/// [`macro@main`] for a build without the multi-threaded scheduler.
///
/// The default flavor is `current_thread`, and `multi_thread` is an error that
/// names the missing feature.
#[proc_macro_attribute]
pub fn main_rt(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::run(Kind::Main, false, args.into(), item.into()).into()
}

/// Makes a test of an `async fn`, which runs on a runtime of its own.
///
/// ```text
/// #[tapio::test]
/// async fn two_and_two() {
///     assert_eq!(2 + 2, 4);
/// }
/// ```
///
/// The default flavor is `current_thread`, so that a test has one thread to
/// reason about; `#[tapio::test(flavor = "multi_thread", worker_threads = 2)]`
/// asks for more. The other arguments are those of [`macro@main`].
///
/// # Panics
///
/// The test panics if the runtime cannot be built.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::run(Kind::Test, true, args.into(), item.into()).into()
}

/// [`macro@test`] for a build without the multi-threaded scheduler.
#[proc_macro_attribute]
pub fn test_rt(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::run(Kind::Test, false, args.into(), item.into()).into()
}
