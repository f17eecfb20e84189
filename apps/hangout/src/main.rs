//! hangout: a chat in one binary, running on tapio.
//!
//! The page, the JSON API and the WebSocket are served by one process, which keeps everything in
//! one SQLite file. Reading order: [`room`] (who is where, without I/O), [`store`] (what is kept),
//! [`hub`] (how the two reach each connection), [`socket`] (one connection), [`http`].

#![forbid(unsafe_code)]

mod app;
mod config;
mod http;
mod hub;
mod page;
mod protocol;
mod rate;
mod room;
mod run;
mod runtime;
mod serve;
mod socket;
mod stop;
mod store;
mod text;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Command;

fn main() -> ExitCode {
    let config = match config::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(config)) => *config,
        Ok(Command::Print(text)) => {
            say(&text);
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            complain(&format!("{mistake}; 'hangout --help' lists the options"));
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_max_level(config.log)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
    let runtime = match runtime::build_runtime(config.workers, config.driver) {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run::run(config, runtime.handle().clone()));
    // A task that blocks its thread does not keep the program from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            complain(&line);
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output. That nobody reads it is no reason to stop serving.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "hangout: {line}");
}
