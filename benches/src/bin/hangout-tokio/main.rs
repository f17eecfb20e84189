//! hangout, on tokio: the same source as `apps/hangout`, which names its runtime `tapio`, with
//! tokio under that name.
//!
//! What is different is in [`runtime`] and [`serve`], the two files that know what hangout runs on.

#![forbid(unsafe_code)]

extern crate self as tapio;

#[path = "../../../../apps/hangout/src/app.rs"]
mod app;
#[path = "../../../../apps/hangout/src/config/mod.rs"]
mod config;
#[path = "../../../../apps/hangout/src/http/mod.rs"]
mod http;
#[path = "../../../../apps/hangout/src/hub/mod.rs"]
mod hub;
#[path = "../../../../apps/hangout/src/page.rs"]
mod page;
#[path = "../../../../apps/hangout/src/protocol.rs"]
mod protocol;
#[path = "../../../../apps/hangout/src/rate.rs"]
mod rate;
#[path = "../../../../apps/hangout/src/room.rs"]
mod room;
#[path = "../../../../apps/hangout/src/run.rs"]
mod run;
mod runtime;
mod serve;
#[path = "../../../../apps/hangout/src/socket/mod.rs"]
mod socket;
#[path = "../../../../apps/hangout/src/stop.rs"]
mod stop;
#[path = "../../../../apps/hangout/src/store/mod.rs"]
mod store;
#[path = "../../../../apps/hangout/src/text.rs"]
mod text;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

pub(crate) use tokio::{net, select, signal, spawn, sync, task, time};

use crate::config::Command;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "hangout-tokio: {line}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), String> {
    let config = match config::parse(std::env::args_os().skip(1))? {
        Command::Run(config) => *config,
        Command::Print(text) => {
            say(&text);
            return Ok(());
        }
    };
    tracing_subscriber::fmt()
        .with_max_level(config.log)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
    let runtime = runtime::build_runtime(config.workers)
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let handle = runtime::Handle::new(runtime.handle().clone());
    let result = runtime.block_on(run::run(config, handle));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Writes to standard output. That nobody reads it is no reason to stop serving.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
