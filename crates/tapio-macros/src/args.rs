//! What stands in the parentheses of the attribute.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Meta, Path, Result, Token};

use crate::entry::Kind;

/// Which runtime the expansion builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    CurrentThread,
    MultiThread,
}

/// What a panic in a task does to the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnhandledPanic {
    Ignore,
    ShutdownRuntime,
}

/// The arguments, checked against one another.
pub(crate) struct Config {
    pub(crate) flavor: Flavor,
    pub(crate) worker_threads: Option<usize>,
    pub(crate) unhandled_panic: Option<UnhandledPanic>,
    pub(crate) name: Option<LitStr>,
    pub(crate) crate_path: Option<Path>,
}

impl Config {
    /// What is expanded beside an error: whatever needs the fewest features.
    pub(crate) fn fallback() -> Config {
        Config {
            flavor: Flavor::CurrentThread,
            worker_threads: None,
            unhandled_panic: None,
            name: None,
            crate_path: None,
        }
    }

    /// Reads and checks the arguments of one attribute.
    pub(crate) fn parse(kind: Kind, multi_thread: bool, args: TokenStream) -> Result<Config> {
        let metas = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(args)?;
        let mut given = Given::default();
        for meta in &metas {
            given.take(kind, meta)?;
        }
        given.check(kind, multi_thread)
    }
}

/// The arguments as they were given, each with the place to complain at.
#[derive(Default)]
struct Given {
    flavor: Option<(Flavor, Span)>,
    worker_threads: Option<(usize, Span)>,
    unhandled_panic: Option<(UnhandledPanic, Span)>,
    name: Option<(LitStr, Span)>,
    crate_path: Option<(Path, Span)>,
}

impl Given {
    fn take(&mut self, kind: Kind, meta: &Meta) -> Result<()> {
        let key = meta
            .path()
            .get_ident()
            .ok_or_else(|| Error::new_spanned(meta, unknown(&path_text(meta.path()))))?
            .to_string();
        let pair = match meta {
            Meta::NameValue(pair) => pair,
            Meta::Path(path) => return Err(Error::new_spanned(path, bare_word(kind, &key))),
            Meta::List(list) => {
                return Err(Error::new_spanned(
                    list,
                    format!("`{key}` is not a list: arguments are written `key = value`"),
                ));
            }
        };
        let Expr::Lit(ExprLit { lit, .. }) = &pair.value else {
            return Err(Error::new_spanned(
                &pair.value,
                format!("the value of `{key}` must be a literal"),
            ));
        };
        let span = lit.span();
        match key.as_str() {
            "flavor" => set(&mut self.flavor, &key, flavor(&string(lit, &key)?)?, span),
            "worker_threads" => set(&mut self.worker_threads, &key, threads(lit)?, span),
            "name" => set(&mut self.name, &key, string(lit, &key)?, span),
            "crate" => set(&mut self.crate_path, &key, path(&string(lit, &key)?)?, span),
            "start_paused" => match lit {
                // Saying what is so anyway asks for nothing.
                Lit::Bool(paused) if !paused.value => Ok(()),
                Lit::Bool(_) => Err(Error::new_spanned(
                    pair,
                    "`start_paused` is not in tapio yet: it comes with virtual time",
                )),
                _ => Err(Error::new(span, "`start_paused` must be `true` or `false`")),
            },
            "unhandled_panic" => {
                let behavior = unhandled_panic(&string(lit, &key)?)?;
                set(&mut self.unhandled_panic, &key, behavior, span)
            }
            "core_threads" => Err(Error::new_spanned(
                pair,
                "this argument is called `worker_threads`",
            )),
            _ => Err(Error::new_spanned(pair, unknown(&key))),
        }
    }

    fn check(self, kind: Kind, multi_thread: bool) -> Result<Config> {
        let default = match kind {
            Kind::Main if multi_thread => Flavor::MultiThread,
            Kind::Main | Kind::Test => Flavor::CurrentThread,
        };
        let flavor = match self.flavor {
            Some((Flavor::MultiThread, span)) if !multi_thread => {
                return Err(Error::new(
                    span,
                    "the `multi_thread` flavor needs the feature `rt-multi-thread`, which is off",
                ));
            }
            Some((flavor, _)) => flavor,
            None => default,
        };
        if let (Flavor::CurrentThread, Some((count, span))) = (flavor, self.worker_threads) {
            return Err(Error::new(
                span,
                format!(
                    "`worker_threads` needs the `multi_thread` flavor: \
                     `#[{}(flavor = \"multi_thread\", worker_threads = {count})]`",
                    kind.name(),
                ),
            ));
        }
        Ok(Config {
            flavor,
            worker_threads: self.worker_threads.map(|(count, _)| count),
            unhandled_panic: self.unhandled_panic.map(|(behavior, _)| behavior),
            name: self.name.map(|(name, _)| name),
            crate_path: self.crate_path.map(|(path, _)| path),
        })
    }
}

fn set<T>(slot: &mut Option<(T, Span)>, key: &str, value: T, span: Span) -> Result<()> {
    if slot.is_some() {
        return Err(Error::new(span, format!("`{key}` is set twice")));
    }
    *slot = Some((value, span));
    Ok(())
}

fn string(lit: &Lit, key: &str) -> Result<LitStr> {
    match lit {
        Lit::Str(text) => Ok(text.clone()),
        _ => Err(Error::new(
            lit.span(),
            format!("the value of `{key}` must be a string"),
        )),
    }
}

fn threads(lit: &Lit) -> Result<usize> {
    let Lit::Int(number) = lit else {
        return Err(Error::new(
            lit.span(),
            "the value of `worker_threads` must be an integer",
        ));
    };
    match number.base10_parse() {
        Ok(0) => Err(Error::new(
            lit.span(),
            "`worker_threads` must be at least 1",
        )),
        Ok(count) => Ok(count),
        Err(error) => Err(Error::new(
            lit.span(),
            format!("the value of `worker_threads` must be an integer: {error}"),
        )),
    }
}

fn path(text: &LitStr) -> Result<Path> {
    text.parse().map_err(|_| {
        Error::new(
            text.span(),
            format!("the value of `crate` is not a path: {:?}", text.value()),
        )
    })
}

fn flavor(text: &LitStr) -> Result<Flavor> {
    let message = match text.value().as_str() {
        "current_thread" => return Ok(Flavor::CurrentThread),
        "multi_thread" => return Ok(Flavor::MultiThread),
        "single_thread" | "basic_scheduler" => {
            "the flavor with one thread is called `current_thread`".to_owned()
        }
        "threaded_scheduler" => "the flavor with many threads is called `multi_thread`".to_owned(),
        "local" => "the `local` flavor is not in tapio yet: `current_thread` with \
                    `task::LocalSet` runs tasks that are not `Send`"
            .to_owned(),
        other => format!(
            "no runtime flavor `{other}`: the flavors are `current_thread` and `multi_thread`"
        ),
    };
    Err(Error::new(text.span(), message))
}

fn unhandled_panic(text: &LitStr) -> Result<UnhandledPanic> {
    match text.value().as_str() {
        "ignore" => Ok(UnhandledPanic::Ignore),
        "shutdown_runtime" => Ok(UnhandledPanic::ShutdownRuntime),
        other => Err(Error::new(
            text.span(),
            format!("`unhandled_panic` is \"ignore\" or \"shutdown_runtime\", not {other:?}"),
        )),
    }
}

/// The complaint about an argument without a value.
fn bare_word(kind: Kind, key: &str) -> String {
    let name = kind.name();
    match key {
        "multi_thread" | "threaded_scheduler" => {
            format!("the flavor is set with `#[{name}(flavor = \"multi_thread\")]`")
        }
        "current_thread" | "single_threaded" | "basic_scheduler" => {
            format!("the flavor is set with `#[{name}(flavor = \"current_thread\")]`")
        }
        key if KEYS.contains(&key) || key == "start_paused" => {
            format!("`{key}` needs a value: `{key} = ...`")
        }
        key => unknown(key),
    }
}

fn unknown(key: &str) -> String {
    format!(
        "unknown argument `{key}`: expected one of `{}`",
        KEYS.join("`, `")
    )
}

fn path_text(path: &Path) -> String {
    let segments: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
    segments.join("::")
}

const KEYS: [&str; 5] = [
    "flavor",
    "worker_threads",
    "unhandled_panic",
    "name",
    "crate",
];
