//! What of tokio's tests is left out, and why. Edit these lists.

/// Files for other systems, or that only check a build setting: they hold no
/// test here.
pub(crate) fn is_not_for_linux(name: &str) -> bool {
    const MARKS: &[&str] = &[
        "windows",
        "emscripten",
        "wasm",
        "named_pipe",
        "poll_aio",
        "raw_handle",
    ];
    const NAMES: &[&str] = &["_require_full", "signal_info"];
    NAMES.contains(&name) || MARKS.iter().any(|mark| name.contains(mark))
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
const NO_FS: &str = "`fs` is not there yet";
const NO_LOCAL_RUNTIME: &str = "`LocalRuntime` is not there yet";
const NO_PROCESS: &str = "`process` is not there yet";
const TOKIO_BUDGET: &str =
    "a primitive taken over from tokio, which spends the budget of tokio's runtime";
const TOKIO_CONTEXT: &str =
    "a primitive taken over from tokio, whose blocking calls know tokio's runtime only";
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
    ("task_yield_now", UNSTABLE),
    ("time_alt", UNSTABLE),
    ("tracing_*", UNSTABLE),
    ("rt_local", NO_LOCAL_RUNTIME),
    ("rt_metrics", "tokio's own metrics are not there yet"),
    ("rt_worker_index", "`worker_index` is not there yet"),
    ("fs*", NO_FS),
    ("io_fill_buf", NO_FS),
    ("process*", NO_PROCESS),
    ("rt_time_start_paused", VIRTUAL_TIME),
    ("test_clock", VIRTUAL_TIME),
    ("time_pause", VIRTUAL_TIME),
];

/// Single tests, by file and path inside it, that compile and are not run.
pub(crate) const SKIPPED_TESTS: &[(&str, &str, &str)] = &[
    (
        "coop_budget",
        "coop_budget_udp_send_recv",
        "counts on the first receive to wait; here it is tried at once",
    ),
    ("macros_select", "select_is_budget_aware", TOKIO_BUDGET),
    ("rt_common", "current_thread_scheduler::coop", TOKIO_BUDGET),
    (
        "rt_common",
        "threaded_scheduler_1_thread::coop",
        TOKIO_BUDGET,
    ),
    (
        "rt_common",
        "threaded_scheduler_4_threads::coop",
        TOKIO_BUDGET,
    ),
    ("rt_threaded", "coop_and_block_in_place", TOKIO_BUDGET),
    (
        "rt_threaded",
        "test_tuning",
        "waits for an interval that tunes itself; here it is fixed, and an option",
    ),
    ("sync_mpsc", "blocking_recv_async", TOKIO_CONTEXT),
    ("sync_mpsc", "blocking_send_async", TOKIO_CONTEXT),
    (
        "sync_panic",
        "oneshot_blocking_recv_panic_caller",
        TOKIO_CONTEXT,
    ),
    (
        "sync_panic",
        "mpsc_bounded_receiver_blocking_recv_panic_caller",
        TOKIO_CONTEXT,
    ),
    (
        "sync_panic",
        "mpsc_bounded_receiver_blocking_recv_many_panic_caller",
        TOKIO_CONTEXT,
    ),
    (
        "sync_panic",
        "mpsc_bounded_sender_blocking_send_panic_caller",
        TOKIO_CONTEXT,
    ),
    (
        "sync_panic",
        "mpsc_unbounded_receiver_blocking_recv_panic_caller",
        TOKIO_CONTEXT,
    ),
    (
        "sync_panic",
        "mpsc_unbounded_receiver_blocking_recv_many_panic_caller",
        TOKIO_CONTEXT,
    ),
    ("io_mem_stream", "duplex_is_cooperative", TOKIO_BUDGET),
    ("io_repeat", "repeat_poll_read_is_cooperative", TOKIO_BUDGET),
    ("io_sink", "sink_poll_write_is_cooperative", TOKIO_BUDGET),
    (
        "io_sink",
        "sink_poll_write_vectored_is_cooperative",
        TOKIO_BUDGET,
    ),
    ("io_sink", "sink_poll_flush_is_cooperative", TOKIO_BUDGET),
    ("io_sink", "sink_poll_shutdown_is_cooperative", TOKIO_BUDGET),
    ("io_util_empty", "empty_read_is_cooperative", TOKIO_BUDGET),
    (
        "io_util_empty",
        "empty_buf_reads_are_cooperative",
        TOKIO_BUDGET,
    ),
    (
        "sync_broadcast",
        "receiver_recv_is_cooperative",
        TOKIO_BUDGET,
    ),
    (
        "sync_watch",
        "receiver_changed_is_cooperative",
        TOKIO_BUDGET,
    ),
    (
        "sync_watch",
        "receiver_changed_is_cooperative_ok",
        TOKIO_BUDGET,
    ),
    (
        "sync_watch",
        "receiver_wait_for_is_cooperative",
        TOKIO_BUDGET,
    ),
    (
        "sync_watch",
        "receiver_wait_for_is_cooperative_ok",
        TOKIO_BUDGET,
    ),
    ("sync_watch", "sender_closed_is_cooperative", TOKIO_BUDGET),
    (
        "time_timeout",
        "timeout_is_not_exhausted_by_future",
        TOKIO_BUDGET,
    ),
];

/// Functions that do not compile against tapio: by file and name.
pub(crate) const CUT_FUNCTIONS: &[(&str, &str, &str)] = &[];

/// Functions that hold one of these words are taken out wherever they are.
pub(crate) const CUT_WORDS: &[(&str, &str)] = &[
    ("start_paused", VIRTUAL_TIME),
    ("time::pause(", VIRTUAL_TIME),
    ("time::advance(", VIRTUAL_TIME),
    ("time::resume(", VIRTUAL_TIME),
    ("flavor = \"local\"", "the `local` flavour is not there yet"),
    ("tokio::fs::", NO_FS),
    ("(fs::read_to_string", NO_FS),
    ("tokio::process::", NO_PROCESS),
];

/// Lines that are taken out: imports that only such functions need.
pub(crate) const CUT_LINES: &[&str] = &["use tokio::fs;"];

/// Macro calls of `async_send_sync`, which is one list of types and functions,
/// that hold one of these words are taken out.
pub(crate) const CUT_CALLS: &[(&str, &str)] = &[
    ("tokio::fs::", NO_FS),
    ("tokio::process::", NO_PROCESS),
    ("tokio::time::advance", VIRTUAL_TIME),
    ("tokio::macros::", "what tokio's macros need of tokio alone"),
    ("tokio::runtime::Local", NO_LOCAL_RUNTIME),
];
