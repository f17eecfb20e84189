//! Names of functions as people read them, and what is in them.

/// A name without the types that it is instantiated for: of
/// `tower::Oneshot<S, R>::poll<X>` what is left is `tower::Oneshot::poll`.
/// What a method is of stays, as in `<myapp::T as core::ops::Drop>::drop`.
pub(super) fn plain(name: &str) -> String {
    let mut plain_name = String::new();
    let mut rest = name;
    while let Some(open) = rest.find('<') {
        let (before, opened) = rest.split_at(open);
        plain_name.push_str(before);
        // A name of another language may be no such thing: `operator<`.
        let Some(close) = closing(opened) else {
            return name.to_owned();
        };
        let inner = &opened[1..close];
        let path = plain_name.strip_suffix("::");
        let is_of_name = plain_name.ends_with(|c: char| c.is_alphanumeric() || "_}".contains(c));
        match path {
            Some(path) if !inner.starts_with("impl ") => plain_name.truncate(path.len()),
            None if is_of_name => {}
            _ => {
                plain_name.push('<');
                plain_name.push_str(&plain(inner));
                plain_name.push('>');
            }
        }
        rest = &opened[close + 1..];
    }
    plain_name.push_str(rest);
    plain_name
}

/// Where the first `<` of a text is closed.
fn closing(opened: &str) -> Option<usize> {
    let mut depth = 0;
    let mut last = ' ';
    for (index, c) in opened.char_indices() {
        match c {
            '<' => depth += 1,
            // Not that of `fn() -> T`.
            '>' if last != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
        last = c;
    }
    None
}

/// The type that a function drops which the compiler has made to drop it, as
/// `myapp::Tree` of `core::ptr::drop_in_place<myapp::Tree>`.
pub(super) fn dropped_type(name: &str) -> Option<&str> {
    let (before, rest) = name.split_once('<')?;
    let before = before.strip_suffix("::").unwrap_or(before);
    let is_glue = matches!(last_part(before), "drop_in_place" | "drop_glue");
    rest.strip_suffix('>').filter(|_| is_glue)
}

/// The last part of a path: `f` of `myapp::f`.
pub(super) fn last_part(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// The last part of a function's path without its types: `f` of
/// `myapp::f<u8>`.
pub(super) fn bare_part(name: &str) -> &str {
    // A type that it is of, as in `<T as U>::f`, is before it.
    let name = name.rsplit_once(">::").map_or(name, |(_, method)| method);
    let name = name.split('<').next().unwrap_or(name);
    last_part(name.strip_suffix("::").unwrap_or(name))
}

/// The crates that a type or a function names, from the first on.
pub(super) fn crates_in(name: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = name;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(is_name)?;
            let is_first = !rest[..start].ends_with("::");
            rest = &rest[start..];
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let word;
            (word, rest) = rest.split_at(end);
            if is_first && rest.starts_with("::") {
                return Some(word);
            }
        }
    })
}

/// Whether a function gets memory or gives it back: one of the C library's or
/// of another allocator.
pub(super) fn is_allocator(name: &str) -> bool {
    let function = bare_part(name).trim_start_matches('_');
    let function = function.strip_prefix("GI___").unwrap_or(function);
    let function = function.strip_prefix("libc_").unwrap_or(function);
    let is_method = name.contains("GlobalAlloc") || name.starts_with("alloc::alloc::");
    let prefixes = [
        "rust_alloc",
        "rust_dealloc",
        "rust_realloc",
        "mi_",
        "je_",
        "rjem_",
    ];
    is_method
        || ALLOCATORS.contains(&function)
        || prefixes.iter().any(|prefix| function.starts_with(prefix))
}

const ALLOCATORS: &[&str] = &[
    "aligned_alloc",
    "calloc",
    "cfree",
    "free",
    "malloc",
    "malloc_trim",
    "memalign",
    "posix_memalign",
    "pvalloc",
    "realloc",
    "reallocarray",
    "valloc",
];

#[cfg(test)]
mod tests {
    use super::{bare_part, crates_in, dropped_type, is_allocator, plain};

    #[test]
    fn the_types_that_a_function_is_made_for_are_left_out() {
        let names = [
            ("main", "main"),
            ("myapp::f::<u8>", "myapp::f"),
            (
                "axum::Router<S>::call<B, (A, fn(C) -> D)>",
                "axum::Router::call",
            ),
            (
                "poll<core::pin::Pin<(dyn Future<Output=R> + Send)>, fn(A) -> B>",
                "poll",
            ),
            ("{async_block#0}<fn() -> A, B>", "{async_block#0}"),
            (
                "<hyper::Conn<I, B> as core::Future>::poll",
                "<hyper::Conn as core::Future>::poll",
            ),
            (
                "myapp::f::<impl myapp::T<u8> for u8>::g",
                "myapp::f::<impl myapp::T for u8>::g",
            ),
            (
                "<&mut F as core::FnMut<A>>::call",
                "<&mut F as core::FnMut>::call",
            ),
            ("operator<", "operator<"),
        ];
        for (name, expected) in names {
            assert_eq!(plain(name), expected);
        }
    }

    #[test]
    fn what_is_dropped_and_its_crates_are_in_the_name() {
        let tree = "alloc::vec::Vec<myapp::tree::Tree<std::Key>>";
        for glue in [
            "core::ptr::drop_in_place",
            "drop_in_place",
            "core::ptr::drop_glue",
        ] {
            assert_eq!(dropped_type(&format!("{glue}<{tree}>")), Some(tree));
            assert_eq!(dropped_type(&format!("{glue}::<{tree}>")), Some(tree));
            assert_eq!(dropped_type(glue), None);
        }
        assert_eq!(dropped_type("myapp::f<u8>"), None);
        let crates: Vec<_> = crates_in(tree).collect();
        assert_eq!(crates, ["alloc", "myapp", "std"]);
        assert_eq!(crates_in("[u8; 7]").count(), 0);
    }

    #[test]
    fn the_last_part_of_a_name_is_the_functions() {
        for name in [
            "f",
            "myapp::f",
            "myapp::f<a::B>",
            "<T as U<V>>::f",
            "a::B<C>::f::<D>",
        ] {
            assert_eq!(bare_part(name), "f", "{name}");
        }
    }

    #[test]
    fn memory_comes_from_many_functions() {
        let allocators = [
            "malloc",
            "__libc_malloc",
            "__GI___libc_free",
            "__rust_alloc",
            "__rustc::__rust_dealloc",
            "alloc::alloc::realloc",
            "<std::alloc::System as core::alloc::global::GlobalAlloc>::alloc",
            "mi_malloc",
            "_rjem_je_malloc",
        ];
        for name in allocators {
            assert!(is_allocator(name), "{name}");
        }
        for name in [
            "mprotect",
            "myapp::free_all",
            "munmap",
            "myapp::List<T>::insert",
        ] {
            assert!(!is_allocator(name), "{name}");
        }
    }
}
