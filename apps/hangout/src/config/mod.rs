//! The command line: what can be set, its defaults, and what is wrong with an argument.
//!
//! Every limit is one row of [`limits::KNOBS`], from which the parser, the range check and
//! `--help` are made, so that none of them can tell a different story.

pub(crate) mod host;
mod limits;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use lexopt::ValueExt as _;
use lexopt::prelude::{Long, Short, Value};

use self::host::is_host;
use self::limits::KNOBS;
pub(crate) use self::limits::Limits;

/// All that a run of hangout is told from outside.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: String,
    pub(crate) db: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) workers: Option<usize>,
    pub(crate) driver: Option<Driver>,
    pub(crate) chaos: bool,
    pub(crate) allow_origins: Vec<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) log: tracing::Level,
    pub(crate) limits: Limits,
}

/// How the runtime talks to the kernel; without a choice the runtime makes its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// io_uring.
    Ring,
    /// Readiness, by epoll.
    Poll,
}

/// What an acknowledged message survives. See the README for the price of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The disk has it: survives a power cut (`synchronous=FULL`).
    Full,
    /// The kernel has it: survives `kill -9`, not a power cut (`synchronous=NORMAL`).
    Normal,
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Box<Config>),
    /// Print this text and leave.
    Print(String),
}

/// Reads a command line, without the program's own name.
///
/// # Errors
///
/// One line that names the argument and what is wrong with it.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut config = Config {
        listen: "127.0.0.1:7800".to_owned(),
        db: PathBuf::from("hangout.sqlite"),
        durability: Durability::Full,
        workers: None,
        driver: None,
        chaos: false,
        allow_origins: Vec::new(),
        hosts: Vec::new(),
        log: tracing::Level::WARN,
        limits: Limits::default(),
    };
    let mut parser = lexopt::Parser::from_args(args);
    let line = |error: lexopt::Error| error.to_string();
    while let Some(arg) = parser.next().map_err(line)? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Print(help())),
            Short('V') | Long("version") => {
                return Ok(Command::Print(format!(
                    "hangout {}\n",
                    env!("CARGO_PKG_VERSION")
                )));
            }
            Long("listen") => {
                config.listen = parser.value().and_then(OsString::string).map_err(line)?;
                check_listen(&config.listen)?;
            }
            Long("db") => config.db = PathBuf::from(parser.value().map_err(line)?),
            Long("durability") => {
                let choices = [("full", Durability::Full), ("normal", Durability::Normal)];
                config.durability = choice(&mut parser, "--durability", &choices)?;
            }
            Long("driver") => {
                let choices = [("ring", Driver::Ring), ("poll", Driver::Poll)];
                config.driver = Some(choice(&mut parser, "--driver", &choices)?);
            }
            Long("workers") => config.workers = Some(number(&mut parser, "workers", &(1..=1_024))?),
            Long("chaos") => config.chaos = true,
            Long("allow-origin") => {
                let origin = parser.value().and_then(OsString::string).map_err(line)?;
                config
                    .allow_origins
                    .push(origin.trim_end_matches('/').to_owned());
            }
            Long("host") => {
                let host = parser.value().and_then(OsString::string).map_err(line)?;
                if !is_host(&host) {
                    return Err(format!(
                        "--host '{host}' is not a name or an address, as in chat.example"
                    ));
                }
                config.hosts.push(host);
            }
            Long("log") => {
                let choices = [
                    ("error", tracing::Level::ERROR),
                    ("warn", tracing::Level::WARN),
                    ("info", tracing::Level::INFO),
                    ("debug", tracing::Level::DEBUG),
                ];
                config.log = choice(&mut parser, "--log", &choices)?;
            }
            Long(name) => match KNOBS.iter().find(|knob| knob.flag == name) {
                Some(knob) => {
                    let value = number(&mut parser, knob.flag, &knob.range)?;
                    *(knob.field)(&mut config.limits) = value;
                }
                None => return Err(format!("there is no option '--{name}'")),
            },
            Short(letter) => return Err(format!("there is no option '-{letter}'")),
            Value(word) => return Err(format!("'{}' is not an option", word.to_string_lossy())),
        }
    }
    let (frame, needed) = (
        config.limits.frame_bytes,
        config.limits.frame_bytes_needed(),
    );
    if frame < needed {
        let chars = config.limits.message_chars;
        return Err(format!(
            "--max-frame-bytes {frame} is too small: \
             a message of --max-message-chars {chars} can need {needed} bytes"
        ));
    }
    Ok(Command::Run(Box::new(config)))
}

/// Catches the common slips early; whether the host exists is found out at the bind.
fn check_listen(listen: &str) -> Result<(), String> {
    let port = listen
        .rsplit_once(':')
        .map(|(host, port)| (host, port.parse::<u16>()));
    match port {
        Some((host, Ok(_))) if !host.is_empty() => Ok(()),
        _ => Err(format!(
            "--listen '{listen}' is not HOST:PORT, as in 127.0.0.1:7800 or [::1]:7800"
        )),
    }
}

fn choice<T: Copy>(
    parser: &mut lexopt::Parser,
    flag: &str,
    choices: &[(&str, T)],
) -> Result<T, String> {
    let given = parser.value().map_err(|error| error.to_string())?;
    let found = choices
        .iter()
        .find(|(name, _)| given.to_str() == Some(name));
    found.map(|&(_, value)| value).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|&(name, _)| name).collect();
        format!(
            "{flag} '{}' is not one of: {}",
            given.to_string_lossy(),
            names.join(", ")
        )
    })
}

fn number(
    parser: &mut lexopt::Parser,
    flag: &str,
    range: &RangeInclusive<usize>,
) -> Result<usize, String> {
    let given = parser.value().map_err(|error| error.to_string())?;
    let value = given
        .to_str()
        .and_then(|text| text.replace('_', "").parse().ok());
    value.filter(|value| range.contains(value)).ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        format!(
            "--{flag} '{}' is not a number from {least} to {most}",
            given.to_string_lossy()
        )
    })
}

fn help() -> String {
    let mut text = String::from(HELP);
    let mut defaults = Limits::default();
    for knob in KNOBS {
        let name = format!("--{} {}", knob.flag, knob.unit);
        let help = knob.help.replace('\n', &format!("\n{:30}", ""));
        let default = *(knob.field)(&mut defaults);
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {name:<27} {help} [{default}]");
    }
    text.push_str(HELP_END);
    text
}

const HELP: &str = "\
hangout - a chat server in one binary: page, API, WebSocket and database

Usage: hangout [OPTIONS]

Open the address that it prints. Ctrl-c stops it cleanly; a second ctrl-c at once.

Options:
  --listen HOST:PORT          where to listen; port 0 picks a free one [127.0.0.1:7800]
  --db PATH                   the database, made if missing [hangout.sqlite]
  --durability full|normal    what an acknowledged message survives: a power cut
                              (full), or a crash of the program alone (normal) [full]
  --workers N                 threads that run tasks [one for each core]
  --driver ring|poll          whether operations may use io_uring; sockets never do, and
                              nothing else does yet [TAPIO_DRIVER, or ring]
  --host NAME                 a further name that this server goes by, as behind a proxy;
                              can be repeated [localhost, and where it listens]
  --allow-origin URL          a further site whose pages may connect; can be repeated
                              [only the page that this server sends]
  --chaos                     enable POST /chaos/block?ms=N&kind=sleep|spin, which blocks
                              a worker thread on purpose
  --log error|warn|info|debug what is written to standard error [warn]
  -h, --help                  print this
  -V, --version               print the version

Limits:
";

const HELP_END: &str = "
The API and the WebSocket protocol are described in apps/hangout/README.md.
";

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Command, Driver, KNOBS, Limits, help, parse};

    fn run(args: &[&str]) -> Result<Command, String> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn every_limit_can_be_set_and_is_in_the_help() {
        let help = help();
        for knob in KNOBS {
            let value = *knob.range.end();
            let args = [format!("--{}", knob.flag), value.to_string()];
            let mut all = vec!["--max-frame-bytes=60000000"];
            all.extend(args.iter().map(String::as_str));
            let Ok(Command::Run(mut config)) = run(&all) else {
                panic!("{} refused", knob.flag)
            };
            assert_eq!(*(knob.field)(&mut config.limits), value, "{}", knob.flag);
            assert!(help.contains(&format!("--{} ", knob.flag)), "{}", knob.flag);
        }
        assert!(
            help.lines().all(|line| line.chars().count() <= 90),
            "{help}"
        );
    }

    #[test]
    fn defaults_agree_with_each_other() {
        let limits = Limits::default();
        assert!(limits.frame_bytes >= limits.frame_bytes_needed());
    }

    #[test]
    fn a_mistake_is_named() {
        for (args, expected) in [
            (&["--frobnicate"][..], "--frobnicate"),
            (&["--driver", "epoll"], "ring, poll"),
            (&["--workers", "0"], "1 to 1024"),
            (&["--listen", "7800"], "HOST:PORT"),
            (&["--db"], "--db"),
            (&["--host", "http://chat.example"], "--host"),
            (&["lobby"], "'lobby'"),
            (&["--max-message-chars", "100000"], "--max-frame-bytes"),
            (&["-x"], "-x"),
        ] {
            let error = run(args).unwrap_err();
            assert!(
                error.contains(expected) && !error.contains('\n'),
                "{args:?}: {error}"
            );
        }
    }

    #[test]
    fn driver_is_kept() {
        let Ok(Command::Run(config)) = run(&["--driver=poll"]) else {
            panic!("refused")
        };
        assert_eq!(config.driver, Some(Driver::Poll));
    }
}
