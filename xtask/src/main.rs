//! The project's own tools: `cargo xtask help` lists them.

#![expect(
    clippy::print_stdout,
    reason = "a command-line tool speaks through its standard output"
)]

mod bench;
mod ci;
mod command;
mod examples;
mod parity;
mod process;
mod tally;
mod test;
mod tidy;
mod workspace;

use std::env;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  test [--driver ring|poll|both] [--skip-browser] [FILTER...]
        Run the tests on both drivers and say what was skipped. FILTER is a part
        of a test's name. Installs Chromium on Debian, as root, if it is missing;
        --skip-browser leaves out what needs it.
  tidy  Check the layers, the files and the feature graph. No compiler needed.
  ci [--quick | STEP...]
        Formatting, tidy, clippy, features, docs, models, examples, then test:
        what a submission has to pass. --quick leaves out features, docs and
        models; or name the steps: `cargo xtask ci format clippy`.
  bench [--help] ...
        Measure tapio beside other runtimes and write docs/benchmarks.md.
  parity [--driver ring|poll|both] [NAME...]
        Run tokio's published tests against tapio and, when all of them ran,
        write docs/tokio-parity.md. NAME is a test file's name without `.rs`.
  help  This list.

Environment: TAPIO_DRIVER=ring|poll chooses the driver of any program built on
tapio; `test`, `ci` and `parity` set it themselves.
";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let command = args.next().unwrap_or_else(|| "help".to_owned());
    let args: Vec<String> = args.collect();
    let result = match command.as_str() {
        "test" => test::run(&args),
        "tidy" => tidy::run(&args),
        "ci" => ci::run(&args),
        "parity" => parity::run(&args),
        "bench" => bench::run(args),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!(
            "no command `{other}`; `cargo xtask help` lists them"
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Commands that end with a tally have said it all and pass nothing.
            if !message.is_empty() {
                eprintln!("xtask: {message}");
            }
            ExitCode::FAILURE
        }
    }
}
