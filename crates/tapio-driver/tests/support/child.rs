//! Tests that need a process of their own: they change or count what belongs
//! to the process.

use std::env;
use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock};

/// Held for writing while a child begins, when it has every descriptor of its
/// parent for a moment: a test for which a close must take effect at once
/// holds it for reading.
pub(crate) static BEGINNING: RwLock<()> = RwLock::new(());

/// Names the test that a child runs for real.
const CHILD: &str = "TAPIO_TEST_CHILD";

/// Variables to set, or with `None` to remove.
pub(crate) type Environment<'a> = [(&'a str, Option<&'a OsStr>)];

/// Runs `body` in a new process: this test binary again, with this test alone.
/// `name` is the test's full path, as the harness prints it.
///
/// # Panics
/// When the child fails; its output is in the message.
pub(crate) fn in_child(name: &str, body: impl FnOnce()) {
    in_children(name, &[&[]], body);
}

/// [`in_child`], once for each environment.
pub(crate) fn in_children(name: &str, environments: &[&Environment<'_>], body: impl FnOnce()) {
    if env::var_os(CHILD).is_some_and(|child| child == name) {
        return body();
    }
    for environment in environments {
        let mut command = command(name, environment);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = begin(&mut command);
        let output = child.wait_with_output().expect("a child ends");
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && stdout.contains("1 passed"),
            "{name} in its own process with {environment:?}: {}\n{stdout}\n{stderr}",
            output.status,
        );
    }
}

/// The command that runs the test `name` for real.
pub(crate) fn command(name: &str, environment: &Environment<'_>) -> Command {
    let mut command = Command::new(env::current_exe().expect("a running program has a path"));
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, name);
    for (variable, value) in environment {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    command
}

/// Starts a child.
pub(crate) fn begin(command: &mut Command) -> Child {
    let _alone = BEGINNING.write().unwrap_or_else(PoisonError::into_inner);
    command.spawn().expect("the test binary starts again")
}
