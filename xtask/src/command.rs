//! Running a command as a step: shown, watched, and counted if it tests.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::process::kill_tree;
use crate::tally::{Reader, Tally};
use crate::workspace::{Workspace, cargo};

/// After this long without a line of output a run is taken to hang. Building is
/// a step before and not part of this; libtest itself speaks up after 60
/// seconds in one test.
const SILENCE_MAX: Duration = Duration::from_secs(4 * 60);

/// A `cargo` command at the root of the workspace.
pub(crate) fn cargo_command<'a>(
    workspace: &Workspace,
    args: impl IntoIterator<Item = &'a str>,
) -> Command {
    let mut command = Command::new(cargo());
    command
        .args(args)
        .current_dir(&workspace.root)
        // These were set for this tool by the cargo that started it; passed on
        // they would make build scripts run again.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH")
        .env_remove("CARGO_PKG_NAME")
        .env_remove("TAPIO_DRIVER");
    command
}

/// Shows a command as a person would type it.
pub(crate) fn announce(command: &Command) {
    let mut line = String::new();
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            line += &format!("{}={:?} ", key.display(), value.display().to_string());
        }
    }
    line += &program(command);
    for arg in command.get_args() {
        line += " ";
        line += &arg.display().to_string();
    }
    println!("\n$ {line}");
}

/// Runs a command that either succeeds or does not.
pub(crate) fn run(mut command: Command) -> Result<(), String> {
    announce(&command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| cannot_run(&command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", short(&command)))
    }
}

/// Runs a command that tests; `name` labels its failures.
///
/// A run that ends badly without naming a failed test, because it did not
/// compile, crashed or hung, counts as one failure.
pub(crate) fn run_tests(name: &str, command: Command) -> Tally {
    run_tests_within(SILENCE_MAX, name, command)
}

fn run_tests_within(silence_max: Duration, name: &str, mut command: Command) -> Tally {
    announce(&command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut reader = Reader::default();
    let outcome = match child {
        Ok(child) => watch(child, &mut reader, silence_max),
        Err(error) => Err(cannot_run(&command, &error)),
    };
    let (mut tally, running) = reader.finish();
    match outcome {
        // A failed test that was named explains why the run did not succeed.
        Err(_) if tally.failed > 0 && running.is_empty() => {}
        Err(why) if running.is_empty() => tally.fail(why),
        Err(why) => tally.fail(format!("{why}, in {}", running.join(", "))),
        Ok(()) => {}
    }
    for failure in &mut tally.failures {
        *failure = format!("{name}: {failure}");
    }
    tally
}

/// Passes the child's output on and reads it, until the child ends or hangs.
fn watch(mut child: Child, reader: &mut Reader, silence_max: Duration) -> Result<(), String> {
    let stdout = child.stdout.take().ok_or("the child has no output")?;
    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match received.recv_timeout(silence_max) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                reader.read_line(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                kill_tree(child.id());
                let _ = child.wait();
                return Err(format!(
                    "killed after {} seconds without a word",
                    silence_max.as_secs()
                ));
            }
        }
    }
    let status = child
        .wait()
        .map_err(|error| format!("cannot wait for the child: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("ended with {status}"))
    }
}

fn cannot_run(command: &Command, error: &std::io::Error) -> String {
    format!("cannot run {}: {error}", short(command))
}

/// The program and its first argument: `cargo clippy`.
fn short(command: &Command) -> String {
    match command.get_args().next() {
        Some(first) => format!("`{} {}`", program(command), first.display()),
        None => format!("`{}`", program(command)),
    }
}

/// The name of the program without the folder it is in.
fn program(command: &Command) -> String {
    let path = Path::new(command.get_program());
    path.file_name()
        .unwrap_or(path.as_os_str())
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::run_tests_within;
    use crate::tally::Tally;

    fn run(silence_max: Duration, script: &str) -> Tally {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run_tests_within(silence_max, "script", command)
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_crash_counts_as_a_failure_beside_what_had_passed() {
        let tally = run(LONG, "echo 'test a ... ok'; exit 101");
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 0 skipped");
        assert!(tally.failures[0].starts_with("script: ended with"));
    }

    #[test]
    fn a_named_failure_is_not_counted_twice() {
        let result = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured";
        let tally = run(
            LONG,
            &format!("echo 'test a ... FAILED'; echo '{result}'; exit 101"),
        );
        assert_eq!(tally.failures, ["script: a"]);
        assert_eq!(tally.failed, 1);
    }

    #[test]
    fn a_run_that_hangs_is_ended_with_all_it_started() {
        let slow = "test b has been running for over 60 seconds";
        // The grandchild holds the pipe: if it lived on, this would not return.
        let script = format!("echo '{slow}'; sleep 600 & wait");
        let tally = run(Duration::from_millis(300), &script);
        assert_eq!(tally.failed, 1);
        assert!(tally.failures[0].ends_with("in b"), "{:?}", tally.failures);
    }
}
