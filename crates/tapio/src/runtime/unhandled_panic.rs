//! What a panic in a task does to everything else.

/// What a panic in a spawned task does to its runtime or
/// [`LocalSet`](crate::task::LocalSet), under tokio's names (there unstable,
/// and for `current_thread` runtimes and `LocalSet`s only).
///
/// Set with [`Builder::unhandled_panic`](super::Builder::unhandled_panic) or
/// [`LocalSet::unhandled_panic`](crate::task::LocalSet::unhandled_panic).
///
/// This is about tasks: a blocking call's panic, and one of the future given
/// to `block_on`, go to whoever waits for them, as ever. Whichever is chosen,
/// a panic that nobody looks at is
/// [reported](crate::guard::Report::UnobservedPanic).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// Nothing: the panic goes to the task's handle.
    #[default]
    Ignore,
    /// The runtime ends at once, whether anybody has the task's handle or not:
    /// all other tasks end as if aborted, tasks spawned from now on end
    /// likewise, and whoever is in `block_on` panics with "a spawned task
    /// panicked and the runtime is configured to shut down on unhandled
    /// panic".
    ///
    /// Workers stop: a runtime on threads of its own does no more, while
    /// blocking calls go on. Tasks there end once every worker has come to the
    /// end of the poll it is in. On a `current_thread` runtime they end before
    /// the panicking task's handle is woken.
    ShutdownRuntime,
}
