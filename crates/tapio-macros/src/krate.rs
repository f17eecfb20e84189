//! Which path leads to the crate from where the macro is used.

use std::env;

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;

const PACKAGE: &str = "tapio";

/// The path of the crate, by the name that the user's manifest gives it.
///
/// `tokio = { package = "tapio" }` gives `::tokio`. A crate that reaches us
/// through another one's re-export has no such line; it gets `::tapio` and, if
/// that does not resolve, an error that the `crate = "..."` argument answers.
pub(crate) fn path(span: Span) -> TokenStream {
    match crate_name(PACKAGE) {
        Ok(FoundCrate::Name(name)) => by_name(&name, span),
        Ok(FoundCrate::Itself) if is_library_itself() => quote_spanned!(span=> crate),
        Ok(FoundCrate::Itself) | Err(_) => by_name(PACKAGE, span),
    }
}

fn by_name(name: &str, span: Span) -> TokenStream {
    let ident = Ident::new(name, span);
    quote_spanned!(span=> ::#ident)
}

/// Whether the crate being compiled is `tapio` and not one of its examples,
/// integration tests, benchmarks or documentation tests, which share its
/// manifest and import it by name.
fn is_library_itself() -> bool {
    let crate_is_ours = env::var("CARGO_CRATE_NAME").is_ok_and(|name| name == PACKAGE);
    // rustdoc compiles each documentation test as a program of its own and
    // tells the compiler so in this variable.
    crate_is_ours && env::var_os("UNSTABLE_RUSTDOC_TEST_PATH").is_none()
}
