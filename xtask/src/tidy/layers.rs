//! Who may import whom. Edit these tables together with `ARCHITECTURE.md`.

/// One row: a name, and what it may import.
pub(crate) type Row = (&'static str, &'static [&'static str]);

/// The crates of the workspace. An import goes down this list, never up.
pub(crate) const CRATES: &[Row] = &[
    ("tapio-driver", &[]),
    ("tapio-macros", &[]),
    ("tapio", &["tapio-driver", "tapio-macros"]),
    ("tapio-http", &["tapio"]),
    ("hangout", &["tapio", "tapio-http"]),
    // The only place that names other runtimes.
    ("tapio-bench", &["tapio", "tapio-driver", "tapio-http"]),
    ("xtask", &[]),
];

/// Other runtimes, and what belongs to them. Only `tapio-bench` may depend on
/// one.
pub(crate) const RUNTIMES: &[&str] = &[
    "async-executor",
    "async-global-executor",
    "async-io",
    "async-std",
    "compio",
    "embassy-executor",
    "glommio",
    "mio",
    "monoio",
    "smol",
    "tokio-uring",
];

/// The features of tokio that compile its runtime, driver, timer or threads.
pub(crate) const TOKIO_RUNTIME_FEATURES: &[&str] = &[
    "full",
    "fs",
    "io-std",
    "net",
    "process",
    "rt",
    "rt-multi-thread",
    "signal",
    "test-util",
    "time",
];

/// The crates whose modules are checked against a table.
pub(crate) const MODULE_TABLES: &[(&str, &[Row])] =
    &[("tapio", TAPIO_MODULES), ("tapio-driver", DRIVER_MODULES)];

/// Modules that name one another and count as one layer, each with its reason.
/// The aim is that this stays short.
pub(crate) const KNOTS: &[(&str, &[&str], &str)] = &[(
    "tapio-driver",
    &["contract", "source"],
    "a driver hands out sources, and a source calls its driver back when it is dropped",
)];

/// Top-level modules of `tapio`. A row names rows above it, or its own knot, so
/// that the table has no other cycle; the root, `lib.rs`, may name all.
const TAPIO_MODULES: &[Row] = &[
    ("sync_facade", &[]),
    ("threads", &[]),
    ("wheel", &[]),
    ("post", &[]),
    ("rounds", &[]),
    ("slice", &[]),
    ("stack", &[]),
    ("thread_state", &[]),
    ("capture", &["stack", "sync_facade", "thread_state"]),
    ("tally", &["post"]),
    ("context", &["post", "tally"]),
    ("task_id", &["context"]),
    (
        "report",
        &["context", "post", "stack", "task_id", "thread_state"],
    ),
    ("coop", &["context", "post"]),
    ("main_future", &[]),
    ("callback", &["context", "coop", "report"]),
    (
        "thread_parker",
        &["context", "coop", "main_future", "rounds"],
    ),
    (
        "cell",
        &["context", "coop", "report", "sync_facade", "task_id"],
    ),
    (
        "sync",
        &[
            "cell",
            "context",
            "coop",
            "main_future",
            "report",
            "rounds",
            "task_id",
            "thread_parker",
            "threads",
        ],
    ),
    (
        "guard",
        &[
            "capture",
            "context",
            "post",
            "report",
            "rounds",
            "slice",
            "stack",
            "sync",
            "tally",
            "task_id",
            "thread_state",
            "threads",
        ],
    ),
    ("blocking", &["cell", "guard", "report", "threads"]),
    ("compat", &["threads"]),
    (
        "scheduler",
        &[
            "blocking",
            "cell",
            "compat",
            "context",
            "coop",
            "guard",
            "main_future",
            "post",
            "report",
            "rounds",
            "sync_facade",
            "task_id",
            "thread_parker",
            "threads",
            "wheel",
        ],
    ),
    (
        "runtime",
        &[
            "blocking",
            "callback",
            "capture",
            "cell",
            "context",
            "coop",
            "guard",
            "report",
            "scheduler",
            "task_id",
            "thread_parker",
            "wheel",
        ],
    ),
    ("watched", &["context", "coop", "runtime"]),
    ("time", &["coop", "runtime", "wheel"]),
    (
        "task",
        &[
            "callback",
            "cell",
            "context",
            "coop",
            "post",
            "report",
            "runtime",
            "scheduler",
            "task_id",
            "time",
        ],
    ),
    ("promise", &["callback", "compat", "context"]),
    (
        "cpu",
        &[
            "blocking",
            "callback",
            "cell",
            "context",
            "report",
            "runtime",
            "scheduler",
            "task",
            "task_id",
            "threads",
        ],
    ),
    ("io", &["coop", "runtime", "task", "watched"]),
    ("net", &["coop", "io", "runtime", "task", "watched"]),
    ("signal", &["runtime", "threads"]),
];

/// Top-level modules of `tapio-driver`, by the same rule.
const DRIVER_MODULES: &[Row] = &[
    ("error", &[]),
    ("fork", &[]),
    ("lock", &[]),
    ("wakes", &[]),
    ("ready", &[]),
    ("wake", &["error", "lock"]),
    ("contract", &["ready", "source", "wakes"]),
    (
        "source",
        &["contract", "error", "fork", "lock", "ready", "wakes"],
    ),
    (
        "epoll",
        &["contract", "error", "lock", "ready", "source", "wakes"],
    ),
    (
        "driver",
        &[
            "contract", "epoll", "error", "fork", "source", "wake", "wakes",
        ],
    ),
    ("operations", &[]),
    ("options", &["contract", "operations"]),
];
