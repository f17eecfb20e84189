//! The steps of both macros, and what is left of the function if one fails.

use proc_macro2::TokenStream;
use syn::{Error, Result};

use crate::args::Config;
use crate::expand::expand;
use crate::function::Function;

/// Which of the two macros is being expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

impl Kind {
    /// How the user wrote it, for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Main => "tapio::main",
            Kind::Test => "tapio::test",
        }
    }
}

/// Expands one attribute; `multi_thread` says whether that flavor is compiled in.
///
/// An error is reported beside an expansion with the default configuration
/// rather than instead of it: an editor still knows the function, and the
/// compiler does not add a complaint about a missing `main`.
pub(crate) fn run(
    kind: Kind,
    multi_thread: bool,
    args: TokenStream,
    item: TokenStream,
) -> TokenStream {
    let function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => return with_error(item, &error),
    };
    match check(kind, &function).and_then(|()| Config::parse(kind, multi_thread, args)) {
        Ok(config) => expand(kind, &config, function),
        Err(error) => with_error(expand(kind, &Config::fallback(), function), &error),
    }
}

/// What must hold of the function itself.
fn check(kind: Kind, function: &Function) -> Result<()> {
    let name = kind.name();
    let signature = &function.signature;
    if signature.asyncness.is_none() {
        return Err(Error::new_spanned(
            signature.fn_token,
            format!("`#[{name}]` runs an `async fn`: the `async` keyword is missing here"),
        ));
    }
    if kind == Kind::Main && signature.ident == "main" && !signature.inputs.is_empty() {
        return Err(Error::new_spanned(
            &signature.inputs,
            "the main function cannot accept arguments",
        ));
    }
    if kind == Kind::Test
        && let Some(attribute) = function.test_attribute()
    {
        return Err(Error::new_spanned(
            attribute,
            "second test attribute: with both, the test would run twice. Remove this one",
        ));
    }
    Ok(())
}

fn with_error(mut tokens: TokenStream, error: &Error) -> TokenStream {
    tokens.extend(error.to_compile_error());
    tokens
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;

    use super::{Kind, run};

    /// The message of the `compile_error!` in an expansion.
    fn error_of(kind: Kind, multi_thread: bool, args: &str, item: &str) -> String {
        let text = run(
            kind,
            multi_thread,
            args.parse().expect("the arguments are tokens"),
            item.parse().expect("the item is tokens"),
        )
        .to_string();
        text.split_once("compile_error !")
            .unwrap_or_else(|| panic!("no error in: {text}"))
            .1
            .to_owned()
    }

    #[track_caller]
    fn check(kind: Kind, args: &str, item: &str, expected: &str) {
        let message = error_of(kind, true, args, item);
        assert!(message.contains(expected), "{message}");
    }

    const MAIN: &str = "async fn main() {}";

    #[test]
    fn the_function_must_be_async_and_take_nothing_as_main() {
        check(
            Kind::Main,
            "",
            "fn main() {}",
            "the `async` keyword is missing",
        );
        check(
            Kind::Main,
            "",
            "async fn main(x: u8) {}",
            "cannot accept arguments",
        );
        check(Kind::Main, "", "struct Main;", "an `async fn`");
    }

    #[test]
    fn other_functions_may_take_arguments() {
        let tokens = run(
            Kind::Main,
            true,
            TokenStream::new(),
            "async fn go(&self, n: u8) -> u8 { n }".parse().unwrap(),
        );
        assert!(!tokens.to_string().contains("compile_error"), "{tokens}");
    }

    #[test]
    fn a_second_test_attribute_is_refused() {
        for attribute in [
            "test",
            "core::prelude::v1::test",
            "::std::prelude::v1::test",
        ] {
            check(
                Kind::Test,
                "",
                &format!("#[{attribute}] async fn t() {{}}"),
                "second test attribute",
            );
        }
    }

    #[test]
    fn flavors_are_checked_and_old_names_translated() {
        check(
            Kind::Main,
            "flavor = \"fast\"",
            MAIN,
            "no runtime flavor `fast`",
        );
        check(
            Kind::Main,
            "flavor = \"single_thread\"",
            MAIN,
            "called `current_thread`",
        );
        check(
            Kind::Main,
            "flavor = \"threaded_scheduler\"",
            MAIN,
            "called `multi_thread`",
        );
        check(Kind::Main, "flavor = \"local\"", MAIN, "LocalSet");
        check(Kind::Main, "flavor = 3", MAIN, "must be a string");
        check(
            Kind::Main,
            "multi_thread",
            MAIN,
            "#[tapio::main(flavor = \\\"multi_thread\\\")]",
        );
    }

    #[test]
    fn worker_threads_needs_the_multi_threaded_flavor() {
        let current = "flavor = \"current_thread\", worker_threads = 4";
        check(Kind::Main, current, MAIN, "needs the `multi_thread` flavor");
        check(
            Kind::Test,
            "worker_threads = 4",
            "async fn t() {}",
            "#[tapio::test(flavor = \\\"multi_thread\\\", worker_threads = 4)]",
        );
        check(Kind::Main, "worker_threads = 0", MAIN, "at least 1");
        check(
            Kind::Main,
            "worker_threads = \"4\"",
            MAIN,
            "must be an integer",
        );
        check(Kind::Main, "worker_threads = n", MAIN, "must be a literal");
        check(
            Kind::Main,
            "core_threads = 4",
            MAIN,
            "called `worker_threads`",
        );
    }

    #[test]
    fn what_is_not_there_yet_is_named() {
        let current = "flavor = \"current_thread\", start_paused = true";
        check(Kind::Main, current, MAIN, "virtual time");
    }

    #[test]
    fn what_a_panic_does_is_one_of_two() {
        let other = "unhandled_panic = \"abort\"";
        check(Kind::Main, other, MAIN, "\\\"shutdown_runtime\\\"");
        check(Kind::Main, "unhandled_panic", MAIN, "needs a value");
        check(Kind::Main, "unhandled_panic = 1", MAIN, "must be a string");
    }

    #[test]
    fn malformed_arguments_are_named() {
        check(
            Kind::Main,
            "name = \"a\", name = \"b\"",
            MAIN,
            "`name` is set twice",
        );
        check(Kind::Main, "name", MAIN, "`name` needs a value");
        check(
            Kind::Main,
            "colour = \"red\"",
            MAIN,
            "unknown argument `colour`",
        );
        check(Kind::Main, "colour", MAIN, "unknown argument `colour`");
        check(Kind::Main, "flavor(fast)", MAIN, "`key = value`");
        check(Kind::Main, "crate = \"not a path\"", MAIN, "not a path");
    }

    #[test]
    fn without_the_feature_multi_thread_is_refused_and_not_the_default() {
        let message = error_of(Kind::Main, false, "flavor = \"multi_thread\"", MAIN);
        assert!(message.contains("`rt-multi-thread`"), "{message}");
        let tokens = run(Kind::Main, false, TokenStream::new(), MAIN.parse().unwrap());
        assert!(
            tokens.to_string().contains("new_current_thread"),
            "{tokens}"
        );
    }

    #[test]
    fn an_error_keeps_the_function() {
        let tokens = run(
            Kind::Main,
            true,
            "colour = 1".parse().unwrap(),
            MAIN.parse().unwrap(),
        );
        assert!(tokens.to_string().starts_with("fn main ()"), "{tokens}");
    }
}
