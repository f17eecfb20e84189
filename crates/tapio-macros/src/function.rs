//! The annotated function, taken apart as far as the expansion needs it.
//!
//! The body stays a list of tokens. It need not be valid yet, while somebody
//! is typing it, and the compiler reports what is wrong in it with the user's
//! own spans.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{AttrStyle, Attribute, Error, Result, Signature, Visibility};

/// An `async fn`, or what might become one.
pub(crate) struct Function {
    /// Outer attributes, and those that stood at the top of the body.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// The braces and what is between them, without inner attributes.
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Function> {
        let mut attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature: Signature = input.parse().map_err(|mut error| {
            error.combine(Error::new(
                error.span(),
                "this attribute is for an `async fn`",
            ));
            error
        })?;
        let braces = match input.parse()? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => group,
            other => {
                return Err(Error::new_spanned(
                    other,
                    "this attribute needs a function with a body",
                ));
            }
        };
        let (inner, rest) = syn::parse::Parser::parse2(split_inner_attributes, braces.stream())?;
        attributes.extend(inner);
        let mut body = Group::new(Delimiter::Brace, rest);
        body.set_span(braces.span());
        Ok(Function {
            attributes,
            visibility,
            signature,
            body,
        })
    }
}

fn split_inner_attributes(input: ParseStream<'_>) -> Result<(Vec<Attribute>, TokenStream)> {
    let mut inner = input.call(Attribute::parse_inner)?;
    for attribute in &mut inner {
        // They apply to the function from either side of the brace.
        attribute.style = AttrStyle::Outer;
    }
    Ok((inner, input.parse()?))
}

impl Function {
    /// An attribute that already makes a test of the function, if there is one.
    ///
    /// Only the standard library's own count; other crates' `test` attributes
    /// (parameterised tests, say) expand to one later and are meant to be
    /// combined with ours.
    pub(crate) fn test_attribute(&self) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| {
            let names: Vec<_> = attribute
                .path()
                .segments
                .iter()
                .map(|segment| segment.ident.to_string())
                .collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            matches!(
                names.as_slice(),
                ["test"] | ["core" | "std", "prelude", _, "test"]
            )
        })
    }

    /// Whether the body means the same as an inner function: no arguments, no
    /// generics, and no `Self`, which an inner function does not inherit.
    pub(crate) fn stands_alone(&self) -> bool {
        let signature = &self.signature;
        signature.inputs.is_empty()
            && signature.generics.params.is_empty()
            && signature.generics.where_clause.is_none()
            && !mentions_self(signature.output.to_token_stream())
            && !mentions_self(self.body.stream())
    }

    /// The start and end of the last statement, which is where rustc points
    /// when a function does not return what it should.
    pub(crate) fn last_statement(&self) -> (Span, Span) {
        let mut start = None;
        let mut end = None;
        let mut after_semicolon = true;
        for token in self.body.stream() {
            if after_semicolon {
                start = Some(token.span());
            }
            after_semicolon = matches!(&token, TokenTree::Punct(p) if p.as_char() == ';');
            end = Some(token.span());
        }
        let fallback = self.body.span_close();
        (start.unwrap_or(fallback), end.unwrap_or(fallback))
    }
}

fn mentions_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "Self",
        TokenTree::Group(group) => mentions_self(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
