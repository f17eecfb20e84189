//! The library as its users see it, on every kind of runtime.

mod support;

mod net_async_fd;
mod net_cancel;
mod net_close;
mod net_elsewhere;
mod net_split;
mod net_tcp;
mod net_udp;
mod net_unix;
mod time_interval;
mod time_runtime;
mod time_sleep;
mod time_timeout;
