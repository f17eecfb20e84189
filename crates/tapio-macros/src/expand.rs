//! The function that takes the place of the annotated one.
//!
//! The body becomes an `async fn` inside it, with the declared return type.
//! So the compiler checks the body against that type before it meets any of
//! our code, and a mismatch is reported where it is, at the user's expression
//! and at the user's return type, as if the attribute were not there.
//!
//! An inner function cannot see arguments, generics or `Self`. Where there are
//! any, the body becomes an `async` closure instead, whose mismatches rustc
//! reports for the body as a whole.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericArgument, PathArguments, ReturnType, Type};

use crate::args::{Config, Flavor, UnhandledPanic};
use crate::entry::Kind;
use crate::function::Function;
use crate::krate;

pub(crate) fn expand(kind: Kind, config: &Config, function: Function) -> TokenStream {
    // Our names are resolved where the attribute stands, and located at the
    // last statement: what goes wrong between body and runtime is shown there.
    let (start, end) = function.last_statement();
    let start = Span::mixed_site().located_at(start);
    let end = Span::mixed_site().located_at(end);

    let krate = match &config.crate_path {
        Some(path) => path.to_token_stream(),
        None => krate::path(Span::call_site().located_at(start)),
    };
    let runtime = runtime(&krate, config, start);
    let future = future(kind, &function, start, end);

    let Function {
        attributes,
        visibility,
        mut signature,
        body,
    } = function;
    signature.asyncness = None;
    let test = (kind == Kind::Test).then(|| quote!(#[::core::prelude::v1::test]));

    let mut block = proc_macro2::Group::new(
        proc_macro2::Delimiter::Brace,
        quote_spanned! {start=>
            #future
            // The explicit `return` keeps lints about a missing semicolon
            // after the call, which the user did not write, from firing.
            #[allow(
                clippy::expect_used,
                clippy::diverging_sub_expression,
                clippy::needless_return,
                clippy::unwrap_in_result,
                unreachable_code
            )]
            {
                return #runtime.block_on(body);
            }
        },
    );
    block.set_span(body.span());
    quote! {
        #(#attributes)*
        #test
        #visibility #signature #block
    }
}

/// The expression that builds the runtime.
fn runtime(krate: &TokenStream, config: &Config, span: Span) -> TokenStream {
    let constructor = match config.flavor {
        Flavor::CurrentThread => quote_spanned!(span=> new_current_thread),
        Flavor::MultiThread => quote_spanned!(span=> new_multi_thread),
    };
    let threads = config
        .worker_threads
        .map(|count| quote_spanned!(span=> .worker_threads(#count)));
    let name = config
        .name
        .as_ref()
        .map(|name| quote_spanned!(span=> .name(#name)));
    let unhandled_panic = config.unhandled_panic.map(|behavior| {
        let behavior = match behavior {
            UnhandledPanic::Ignore => quote_spanned!(span=> Ignore),
            UnhandledPanic::ShutdownRuntime => quote_spanned!(span=> ShutdownRuntime),
        };
        quote_spanned!(span=> .unhandled_panic(#krate::runtime::UnhandledPanic::#behavior))
    });
    quote_spanned! {span=>
        #krate::runtime::Builder::#constructor()
            .enable_all()
            #threads
            #unhandled_panic
            #name
            .build()
            .expect("failed to build the runtime")
    }
}

/// The statements that bind `body` to what `block_on` is given.
fn future(kind: Kind, function: &Function, start: Span, end: Span) -> TokenStream {
    let body = &function.body;
    let output = &function.signature.output;
    let output_type = match output {
        ReturnType::Default => quote_spanned!(end=> ()),
        ReturnType::Type(_, ty) => ty.to_token_stream(),
    };
    let call = if function.stands_alone() {
        quote_spanned! {start=>
            #[allow(clippy::unused_async)]
            async fn __async_body() #output #body
            let body = __async_body();
        }
    } else {
        let annotation = match output {
            // `impl Trait` may not stand on a closure, and then the body says
            // what the type is.
            ReturnType::Type(_, ty) if contains_impl_trait(ty) => TokenStream::new(),
            _ => quote_spanned!(end=> -> #output_type),
        };
        quote_spanned! {start=>
            // `mut` is needed where the body changes what it borrows.
            #[allow(clippy::redundant_closure_call, clippy::unused_unit, unused_mut)]
            let mut body = async || #annotation #body;
            let body = body();
        }
    };
    match kind {
        Kind::Main => call,
        // A test program holds hundreds of these. Behind one pointer type they
        // share one copy of `block_on`, which saves compile time.
        Kind::Test => quote_spanned! {start=>
            #call
            let body: ::core::pin::Pin<&mut dyn ::core::future::Future<Output = #output_type>> =
                ::core::pin::pin!(body);
        },
    }
}

/// Whether `impl Trait` stands anywhere in a type.
fn contains_impl_trait(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(_) => true,
        Type::Array(t) => contains_impl_trait(&t.elem),
        Type::Slice(t) => contains_impl_trait(&t.elem),
        Type::Ptr(t) => contains_impl_trait(&t.elem),
        Type::Reference(t) => contains_impl_trait(&t.elem),
        Type::Paren(t) => contains_impl_trait(&t.elem),
        Type::Group(t) => contains_impl_trait(&t.elem),
        Type::Tuple(t) => t.elems.iter().any(contains_impl_trait),
        Type::Path(t) => t
            .path
            .segments
            .iter()
            .any(|segment| arguments_contain_impl_trait(&segment.arguments)),
        _ => false,
    }
}

fn arguments_contain_impl_trait(arguments: &PathArguments) -> bool {
    match arguments {
        PathArguments::None => false,
        PathArguments::AngleBracketed(list) => list.args.iter().any(|argument| match argument {
            GenericArgument::Type(ty) => contains_impl_trait(ty),
            GenericArgument::AssocType(binding) => contains_impl_trait(&binding.ty),
            _ => false,
        }),
        PathArguments::Parenthesized(list) => {
            list.inputs.iter().any(contains_impl_trait)
                || matches!(&list.output, ReturnType::Type(_, ty) if contains_impl_trait(ty))
        }
    }
}
