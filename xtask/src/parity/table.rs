//! What of tokio's tests is left out, and why. Edit these lists.

/// Files for other systems, which compile to nothing here.
pub(crate) fn is_not_for_linux(name: &str) -> bool {
    const MARKS: &[&str] = &[
        "windows",
        "emscripten",
        "wasm",
        "named_pipe",
        "poll_aio",
        "raw_handle",
    ];
    name == "_require_full" || MARKS.iter().any(|mark| name.contains(mark))
}

/// The reason to leave a file out, if there is one.
pub(crate) fn reason_to_leave_out(name: &str) -> Option<&'static str> {
    SKIPPED_FILES
        .iter()
        .find(|(pattern, _)| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == *pattern,
        })
        .map(|(_, reason)| *reason)
}

const UNSTABLE: &str = "tokio's unstable API (`--cfg tokio_unstable`)";
const VIRTUAL_TIME: &str = "virtual time is not there yet";

/// Whole files; a name that ends in `*` is a prefix.
const SKIPPED_FILES: &[(&str, &str)] = &[
    ("dump", UNSTABLE),
    ("fs_uring*", UNSTABLE),
    ("rt_poll_callbacks", UNSTABLE),
    ("rt_unstable*", UNSTABLE),
    ("task_builder", UNSTABLE),
    ("task_hooks", UNSTABLE),
    ("task_trace*", UNSTABLE),
    ("time_alt", UNSTABLE),
    ("tracing_*", UNSTABLE),
    ("fs*", "`fs` is not there yet"),
    ("process*", "`process` is not there yet"),
    ("rt_time_start_paused", VIRTUAL_TIME),
    ("test_clock", VIRTUAL_TIME),
    ("time_pause", VIRTUAL_TIME),
];

/// Single tests, by file and path inside it, that compile and are not run.
pub(crate) const SKIPPED_TESTS: &[(&str, &str, &str)] = &[];

/// Functions that do not compile against tapio: by file and name.
pub(crate) const CUT_FUNCTIONS: &[(&str, &str, &str)] = &[];

/// Functions that hold one of these words are taken out wherever they are.
pub(crate) const CUT_WORDS: &[(&str, &str)] = &[
    ("start_paused", VIRTUAL_TIME),
    ("time::pause(", VIRTUAL_TIME),
    ("time::advance(", VIRTUAL_TIME),
];

/// Macro calls of `async_send_sync`, which is one list of types and functions,
/// that hold one of these words are taken out.
pub(crate) const CUT_CALLS: &[(&str, &str)] = &[
    ("tokio::fs::", "`fs` is not there yet"),
    ("tokio::process::", "`process` is not there yet"),
    ("tokio::time::advance", VIRTUAL_TIME),
];
