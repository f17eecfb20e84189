//! The library as its users see it, on every kind of runtime.

mod support;

mod time_interval;
mod time_runtime;
mod time_sleep;
mod time_timeout;
