//! The library as its users see it, on every kind of runtime.

mod reports;
mod support;

mod cpu_pool;
mod guard_advice;
mod guard_errors;
mod guard_pinned;
mod guard_rescue;
mod guard_stall;
mod guard_unobserved;
mod guard_words;

mod net_async_fd;
mod net_cancel;
mod net_close;
mod net_elsewhere;
mod net_split;
mod net_tcp;
mod net_udp;
mod net_unix;
mod promise;
mod rt_block_on;
mod rt_blocking;
mod rt_shutdown;
mod rt_shutdown_report;
mod rt_unhandled_panic;
mod signal_unix;
mod sync_bounds;
mod sync_deadlock;
mod sync_held;
mod sync_locks;
mod sync_random;
mod sync_support;
mod task_builder;
mod task_end;
mod task_group;
mod task_group_end;
mod task_local_end;
mod task_local_set;
mod task_local_values;
mod task_set;
mod time_interval;
mod time_runtime;
mod time_sleep;
mod time_timeout;
