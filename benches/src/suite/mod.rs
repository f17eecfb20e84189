//! What `cargo xtask bench` runs: cases over peers, in interleaved rounds.
//!
//! [`cases`] says what is measured, [`trial`] (and [`chat`] for a chat) measures one peer once with
//! the processes of [`part`], [`table`] and [`ratio`] sum the rounds up, [`docs`] keeps
//! `docs/benchmarks.md`, [`machine`] says where all that happened.

mod cases;
mod chat;
mod docs;
mod machine;
mod part;
mod ratio;
mod table;
mod trial;

use std::{fs, path::PathBuf};

use crate::{
    args::Args,
    peers::{self, Peer, Program},
    pin,
    report::say,
};

use cases::{Case, SECTIONS, Section};
use table::Results;

/// How much is measured.
#[derive(Debug, Clone)]
struct Settings {
    /// As the section has it, unless the command line says.
    rounds: usize,
    secs: f64,
    quick: bool,
    /// Only cases whose name contains this.
    case: Option<String>,
    /// Where the peers are that are programs of their own, by their keys.
    programs: Vec<(String, String)>,
    /// Requests per second of the open-loop cases, where the case fixes none.
    rate: Option<f64>,
    peers: Option<Vec<String>>,
    root: PathBuf,
    command: String,
}

const KNOWN: &[&str] = &[
    "rounds",
    "secs",
    "quick",
    "rate",
    "peers",
    "root",
    "command",
    "no-docs",
    "list",
    "high-priority",
    "programs",
    "case",
];

/// Measures the sections that `args` name, or all of them.
///
/// # Errors
/// An argument that cannot be read, or a document that cannot be written. A
/// peer that cannot run is no error: it is listed with its reason.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    if args.flag("list") {
        for section in SECTIONS {
            say(format_args!("{}: {}", section.name, section.about));
        }
        return Ok(());
    }
    let asked = settings(args)?;
    let sections = chosen(args.words())?;
    if args.flag("high-priority") {
        // What is measured is started by this process and inherits it.
        pin::go_first()?;
    }
    for section in sections {
        let settings = asked.in_section(section, args)?;
        let results = measure(section, &settings);
        let text = table::section(section, &results, &settings);
        say(format_args!("{text}"));
        let whole = !settings.quick && settings.case.is_none();
        if whole && !args.flag("no-docs") {
            let path = settings.root.join("docs/benchmarks.md");
            let before = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, docs::updated(&before, section.name, &text))
                .map_err(|error| format!("writing {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn settings(args: &Args) -> Result<Settings, String> {
    let unknown = args.unknown(KNOWN);
    if !unknown.is_empty() {
        return Err(format!("not understood: {}", unknown.join(", ")));
    }
    let quick = args.flag("quick");
    let peers = args.get::<String>("peers")?;
    let peers = peers.map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>());
    for name in peers.iter().flatten() {
        peers::find(name)?;
    }
    Ok(Settings {
        rounds: 1,
        secs: 0.5,
        quick,
        case: args.get("case")?,
        programs: programs(args.get::<String>("programs")?.as_deref())?,
        rate: args.get("rate")?,
        peers,
        root: args.get_or("root", PathBuf::from("."))?,
        command: args.get_or("command", String::from("tapio-bench suite"))?,
    })
}

impl Settings {
    /// What was not asked for is as `section` has it, or short if that was asked for.
    fn in_section(&self, section: &Section, args: &Args) -> Result<Self, String> {
        let (rounds, secs) = if self.quick {
            (self.rounds, self.secs)
        } else {
            (section.rounds, section.secs)
        };
        Ok(Self {
            rounds: args.get_or("rounds", rounds)?.max(1),
            secs: args.get_or("secs", secs)?,
            ..self.clone()
        })
    }

    /// For how long threads are blocked, whatever `secs` says.
    fn block_ms(&self) -> u32 {
        if self.quick { 300 } else { 2_000 }
    }

    /// Where `program` is.
    ///
    /// # Errors
    /// Why it is not there.
    fn program(&self, program: &Program) -> Result<String, String> {
        let found = self.programs.iter().find(|(key, _)| key == program.key);
        let (_, path) = found.ok_or_else(|| program.missing.to_owned())?;
        Ok(path.clone())
    }
}

/// Reads `NAME=PATH,NAME=PATH`.
fn programs(list: Option<&str>) -> Result<Vec<(String, String)>, String> {
    let pair = |pair: &str| {
        let (key, path) = pair
            .split_once('=')
            .ok_or_else(|| format!("--programs: NAME=PATH, not {pair:?}"))?;
        Ok((key.to_owned(), path.to_owned()))
    };
    list.unwrap_or_default()
        .split(',')
        .filter(|text| !text.is_empty())
        .map(pair)
        .collect()
}

fn chosen(names: &[String]) -> Result<Vec<&'static Section>, String> {
    if names.is_empty() {
        return Ok(SECTIONS.iter().collect());
    }
    let find = |name: &String| {
        SECTIONS
            .iter()
            .find(|section| section.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
                format!("no workload is called {name:?}: {}", known.join(", "))
            })
    };
    names.iter().map(find).collect()
}

fn measure(section: &Section, settings: &Settings) -> Results {
    let mut results = Results::begin();
    let wanted = |case: &&Case| match &settings.case {
        Some(part) => case.name.contains(part.as_str()),
        None => true,
    };
    for case in section.cases.iter().filter(wanted) {
        let mut peers: Vec<&Peer> = peers::ALL
            .iter()
            .filter(|peer| section.takes(peer) && case.suits(peer))
            .filter(|peer| match &settings.peers {
                Some(names) => names.iter().any(|name| name == peer.name),
                None => true,
            })
            .collect();
        let case = match fixed_rate(case, settings) {
            Ok(case) => case,
            Err(reason) => {
                let reason = format!("the rate could not be found: {reason}");
                for peer in &peers {
                    results.add(case.name, peer.name, Err(reason.clone()));
                }
                continue;
            }
        };
        for round in 1..=settings.rounds {
            // Whoever comes second finds the machine as the first has left it: take turns.
            if round > 1 {
                peers.reverse();
            }
            for peer in &peers {
                if results.cannot_run(case.name, peer.name) {
                    continue;
                }
                let outcome = trial::run(peer, &case, settings);
                let said = match &outcome {
                    Ok(outcome) => table::brief(section, &outcome.figures),
                    Err(reason) => format!("cannot run: {reason}"),
                };
                eprintln!(
                    "[{round}/{}] {} | {} | {said}",
                    settings.rounds, case.name, peer.name
                );
                let outcome = outcome.map(|outcome| {
                    if let Some(log) = outcome.log {
                        results.log(case.name, peer.name, log);
                    }
                    outcome.figures
                });
                results.add(case.name, peer.name, outcome);
            }
        }
        results.note(case.name, &case);
    }
    results
}

/// Turns "half of what the machine does" into a number, the same for all peers.
fn fixed_rate(case: &Case, settings: &Settings) -> Result<Case, String> {
    let mut case = *case;
    if let Some(share) = case.rate_share {
        case.rate = match settings.rate {
            Some(rate) => Some(rate),
            None => Some(share * trial::capacity(&case, settings)?),
        };
    }
    Ok(case)
}
