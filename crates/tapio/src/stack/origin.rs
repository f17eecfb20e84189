//! Whose code a function is.

use std::path::Path;

use super::frame::Origin;
use super::names::{crates_in, last_part};

/// Where this crate's own source is; its siblings are beside it.
const OWN: &str = env!("CARGO_MANIFEST_DIR");
/// Packages that are the runtime to a user, wherever Cargo has put them.
const RUNTIME: &[&str] = &["tapio", "tapio-driver", "tapio-macros", "tokio"];
/// Crates that no user writes.
const SYSTEM: &[&str] = &[
    // Where the compiler puts what it makes itself.
    "__rustc",
    "alloc",
    "compiler_builtins",
    "core",
    "panic_unwind",
    "proc_macro",
    "std",
    "std_detect",
    "tapio",
    "tapio_driver",
    "test",
    "tokio",
];
/// Folders below which each folder is a package that Cargo fetched, after so
/// many more.
const FETCHED: &[(&str, usize)] = &[
    ("/registry/src/", 1),
    ("/git/checkouts/", 2),
    ("/vendor/", 0),
];

/// Whose code it is, by the file that it is written in and its name.
/// `is_program` says whether it is in the program itself, not in a library.
pub(super) fn origin(file: Option<&Path>, function: Option<&str>, is_program: bool) -> Origin {
    let function = function.unwrap_or_default();
    let crate_name = crate_of(function);
    let is_system = crate_name.is_some_and(|name| SYSTEM.contains(&name));
    if is_made_by_rustc(function) {
        return Origin::System;
    }
    let Some(path) = file.map(Path::to_string_lossy) else {
        // Without a file, only a name of Rust's can be told from the C
        // library's and the linker's.
        return match crate_name {
            Some(_) if !is_system => Origin::User,
            _ => Origin::System,
        };
    };
    // The standard library, and what it is made with.
    let is_std = path.starts_with("/rustc/") || path.starts_with("/rust/deps/");
    if is_std || path.contains("/rustlib/src/rust/") {
        return Origin::System;
    }
    if let Some(package) = fetched_package(&path) {
        let is_runtime = RUNTIME.contains(&package);
        return if is_runtime {
            Origin::System
        } else {
            Origin::Dependency
        };
    }
    if is_own_source(&path) || crate_name.is_some_and(is_own_crate) {
        return Origin::System;
    }
    if crate_name.is_some() || is_program {
        Origin::User
    } else {
        Origin::System
    }
}

/// Whether it is one of the functions that the compiler adds to a program, as
/// `__rust_no_alloc_shim_is_unstable` or `__rg_alloc`.
fn is_made_by_rustc(function: &str) -> bool {
    let made = [
        "__rust_",
        "__rdl_",
        "__rg_",
        "rust_eh_",
        "rust_begin_unwind",
    ];
    let function = last_part(function);
    made.iter().any(|start| function.starts_with(start))
}

/// Whose a type is that the compiler drops without any code of its author's:
/// the program's own if any type in its name is. `is_fetched` says which crates
/// are packages that Cargo fetched.
pub(super) fn dropped_origin(dropped: &str, is_fetched: impl Fn(&str) -> bool) -> Origin {
    let is_own = |name: &str| !SYSTEM.contains(&name) && !is_fetched(name);
    if crates_in(dropped).any(is_own) {
        Origin::User
    } else {
        Origin::System
    }
}

/// The package that a file is of, if Cargo fetched it, with its version:
/// `image-0.25.1`.
pub(super) fn fetched_folder(path: &str) -> Option<&str> {
    let (below, skip) = FETCHED
        .iter()
        .find_map(|(folder, skip)| Some((path.split_once(folder)?.1, *skip)))?;
    below.split('/').nth(skip)
}

/// `image` for `.../registry/src/<index>/image-0.25.1/src/lib.rs`.
pub(super) fn fetched_package(path: &str) -> Option<&str> {
    let folder = fetched_folder(path)?;
    Some(match folder.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => name,
        _ => folder,
    })
}

fn is_own_source(path: &str) -> bool {
    let below = path.strip_prefix(OWN);
    below.is_some_and(|path| {
        ["/src/", "-driver/src/", "-macros/src/"]
            .iter()
            .any(|folder| path.starts_with(folder))
    })
}

fn is_own_crate(name: &str) -> bool {
    name == "tapio" || name == "tapio_driver"
}

/// `myapp` for `myapp::f`, `<myapp::T as core::clone::Clone>::clone` and
/// `<F as myapp::Trait>::call`; nothing for names that are not Rust's.
fn crate_of(function: &str) -> Option<&str> {
    crates_in(function).next()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{OWN, Origin, crate_of, dropped_origin, origin};

    #[test]
    fn the_crate_is_in_the_name() {
        let names = [
            ("myapp::f", Some("myapp")),
            ("<myapp::T as core::clone::Clone>::clone", Some("myapp")),
            ("<F as myapp::Trait>::call", Some("myapp")),
            ("<&mut F as core::ops::FnMut>::call", Some("core")),
            ("<dyn core::any::Any>::type_id", Some("core")),
            ("__libc_start_main", None),
            ("", None),
        ];
        for (name, expected) in names {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_dropped_is_the_users_if_any_type_in_it_is() {
        let of = |dropped| dropped_origin(dropped, |name| name == "hyper");
        assert_eq!(of("myapp::Tree"), Origin::User);
        assert_eq!(of("alloc::boxed::Box<[myapp::Tree]>"), Origin::User);
        assert_eq!(of("hyper::Conn<myapp::Service>"), Origin::User);
        assert_eq!(of("alloc::vec::Vec<hyper::Conn>"), Origin::System);
        assert_eq!(of("alloc::vec::Vec<u8>"), Origin::System);
    }

    #[test]
    fn the_users_is_what_is_nobody_elses() {
        let own = |rest: &str| format!("{OWN}{rest}");
        let registry = |package: &str| format!("/r/registry/src/index-1/{package}/src/lib.rs");
        let cases = [
            (Some("/app/src/main.rs".into()), "myapp::f", Origin::User),
            (
                Some("/app/src/lib.rs".into()),
                "<alloc::vec::Vec<T> as myapp::T>::f",
                Origin::User,
            ),
            (
                Some("/rustc/1/library/std/src/thread.rs".into()),
                "std::thread::sleep",
                Origin::System,
            ),
            (
                Some("/rustc/1/library/core/src/ops.rs".into()),
                "<F as core::T>::f",
                Origin::System,
            ),
            (
                Some(registry("image-0.25.1")),
                "image::resize",
                Origin::Dependency,
            ),
            (
                Some(registry("tokio-1.52.0")),
                "tokio::sync::f",
                Origin::System,
            ),
            (
                Some(registry("tokio-util-0.7.0")),
                "tokio_util::f",
                Origin::Dependency,
            ),
            (Some(registry("tapio-0.1.0")), "tapio::f", Origin::System),
            (
                Some("/h/git/checkouts/x-1/abc/src/a.rs".into()),
                "x::f",
                Origin::Dependency,
            ),
            (
                Some("/app/vendor/x/src/a.rs".into()),
                "x::f",
                Origin::Dependency,
            ),
            (
                Some(own("/src/lib.rs")),
                "<core::pin::Pin<P> as F>::poll",
                Origin::System,
            ),
            (
                Some(own("-driver/src/lib.rs")),
                "tapio_driver::f",
                Origin::System,
            ),
            (Some(own("/tests/it/main.rs")), "it::f", Origin::User),
            (Some(own("/examples/stall.rs")), "stall::main", Origin::User),
            (
                Some("/elsewhere/tapio/src/lib.rs".into()),
                "tapio::f",
                Origin::System,
            ),
            (Some("native/digest.c".into()), "digest", Origin::User),
            (None, "myapp::f", Origin::User),
            (None, "std::rt::lang_start", Origin::System),
            (None, "clock_nanosleep", Origin::System),
            (
                Some("/app/src/main.rs".into()),
                "__rust_no_alloc_shim_is_unstable_v2",
                Origin::System,
            ),
            (None, "__rustc::__rust_alloc", Origin::System),
            (
                Some("/app/src/main.rs".into()),
                "__rustc::__rg_alloc",
                Origin::System,
            ),
            (
                Some("/rust/deps/hashbrown-0.16.0/src/lib.rs".into()),
                "hashbrown::raw::f",
                Origin::System,
            ),
            (None, "", Origin::System),
        ];
        for (file, function, expected) in cases {
            let file = file.as_deref().map(Path::new);
            assert_eq!(
                origin(file, Some(function), true),
                expected,
                "{function} {file:?}"
            );
        }
        let libc = Some(Path::new("./nptl/futex.c"));
        assert_eq!(origin(libc, Some("futex_wait"), false), Origin::System);
    }
}
