//! What Tapio is measured against, and with what.
//!
//! `suite` is what people run (through `cargo xtask bench`). It starts this same
//! program again for each part, so that each server and each load generator is a
//! process of its own, on a core of its own:
//!
//! - `serve --peer NAME --workload echo|http|stall` is a server,
//! - `load --addr A --pid P` drives one and takes its CPU time,
//! - `hold --addr A --conns N` opens idle connections,
//! - `run --peer NAME --workload spawn|…` measures inside one process,
//! - `chat --addr A` is a thousand people in a chat, and `hangout` the server of theirs,
//! - `exec CORE PROGRAM …` becomes another program, bound to a core like ours,
//! - `list` names the peers of this build.

mod args;
mod chat;
mod clock;
mod contract;
mod histogram;
mod load;
mod memory;
mod peers;
mod pin;
mod report;
mod stats;
mod suite;
mod workloads;

use std::{
    env,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    time::Duration,
};

use crate::{
    args::Args,
    chat::ChatPlan,
    load::LoadPlan,
    peers::Server,
    report::{Figures, say},
    workloads::{Connection, Plan, Task},
};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error {error}"));
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<(), String> {
    let mut raw = env::args().skip(1);
    let verb = raw.next().unwrap_or_default();
    if verb == "exec" {
        return become_program(raw);
    }
    let args = Args::parse(raw)?;
    match verb.as_str() {
        "serve" => serve(&args),
        "load" => {
            take_place(&args, pin::LOAD)?;
            if args.flag("realtime") {
                pin::go_before_the_server();
            }
            load::run(&LoadPlan::parse(&args)?).map(|figures| figures.say())
        }
        "chat" => {
            take_place(&args, pin::LOAD)?;
            if args.flag("realtime") {
                pin::go_before_the_server();
            }
            chat::run(&ChatPlan::parse(&args)?).map(|figures| figures.say())
        }
        "hold" => {
            take_place(&args, pin::LOAD)?;
            load::hold(args.need("addr")?, args.get_or("conns", 1_000)?)
        }
        "run" => run(&args),
        "suite" => suite::run(&args),
        "list" => {
            for peer in peers::ALL {
                say(format_args!("{} ({})", peer.name, peer.package));
            }
            Ok(())
        }
        _ => Err(format!(
            "no command is called {verb:?}: suite, serve, load, hold, chat, run, exec, list"
        )),
    }
}

/// Binds this process before it starts a thread.
fn take_place(args: &Args, place: usize) -> Result<(), String> {
    pin::go_first_if_inherited();
    pin::raise_descriptor_limit();
    pin::to_core(args.get_or("core", pin::Place::Core(place))?)
}

/// `exec CORE PROGRAM ARGS…`: for servers that are programs of their own, so that they run where
/// ours do.
fn become_program(mut words: impl Iterator<Item = String>) -> Result<(), String> {
    let place: String = words.next().unwrap_or_default();
    let place = place
        .parse()
        .map_err(|()| format!("exec: a core or all, not {place:?}"))?;
    let program = words.next().ok_or("exec: which program?")?;
    pin::go_first_if_inherited();
    pin::raise_descriptor_limit();
    pin::to_core(place)?;
    let error = Command::new(&program).args(words).exec();
    Err(format!("starting {program}: {error}"))
}

fn serve(args: &Args) -> Result<(), String> {
    if args.flag("memory") {
        memory::start_counting();
    }
    take_place(args, pin::MEASURED)?;
    let name: String = args.need("peer")?;
    let workload: String = args.need("workload")?;
    let workload = Connection::parse(&workload, args.get_or("bytes", 64)?)?;
    let server = Server {
        workload,
        port: args.get_or("port", 0)?,
    };
    let serve = peers::find(&name)?
        .serve
        .ok_or_else(|| format!("{name} serves nothing"))?;
    serve(&server)
}

fn run(args: &Args) -> Result<(), String> {
    take_place(args, pin::MEASURED)?;
    let name: String = args.need("peer")?;
    let workload: String = args.need("workload")?;
    let time = Duration::try_from_secs_f64(args.get_or("secs", 1.0)?);
    let time = time.map_err(|error| format!("--secs: {error}"))?;
    let plan = Plan {
        time,
        quick: args.flag("quick"),
    };
    let run = peers::find(&name)?
        .run
        .ok_or_else(|| format!("{name} runs no tasks"))?;
    let mut figures = Figures::default();
    let cost = run(Task::parse(&workload)?, plan)?;
    figures.set("cpu_ns", cost.cpu_ns);
    figures.set("wall_ns", cost.wall_ns);
    figures.say();
    Ok(())
}
