//! Tests that need a process of their own: they change or count what belongs
//! to the process.

use std::env;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock};

/// Held for writing while a child begins, when it has every descriptor of its
/// parent for a moment: a test for which a close must take effect at once
/// holds it for reading.
pub(crate) static BEGINNING: RwLock<()> = RwLock::new(());

/// Names the test that a child runs for real.
const CHILD: &str = "TAPIO_TEST_CHILD";

/// Runs `body` in a new process: this test binary again, with this test alone.
/// `name` is the test's full path, as the harness prints it.
///
/// # Panics
/// When the child fails; its output is in the message.
pub(crate) fn in_child(name: &str, body: impl FnOnce()) {
    in_child_with(name, &[], body);
}

/// [`in_child`], with changes to the environment: a value to set, or `None` to
/// remove.
pub(crate) fn in_child_with(
    name: &str,
    environment: &[(&str, Option<&OsStr>)],
    body: impl FnOnce(),
) {
    if env::var_os(CHILD).is_some_and(|child| child == name) {
        return body();
    }
    let mut command = Command::new(env::current_exe().expect("a running program has a path"));
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, name);
    for (variable, value) in environment {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let quiet = BEGINNING.write().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn().expect("the test binary starts again");
    drop(quiet);
    let output = child.wait_with_output().expect("a child ends");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ran_it = stdout.contains("1 passed");
    assert!(
        output.status.success() && ran_it,
        "{name} in its own process: {}\n{stdout}\n{stderr}",
        output.status,
    );
}
