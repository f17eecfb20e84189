//! Tests that need a process of their own: they change or count what belongs
//! to the process.

use std::env;
use std::process::Command;

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
pub(crate) fn in_child_with(name: &str, environment: &[(&str, Option<&str>)], body: impl FnOnce()) {
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
    let output = command.output().expect("the test binary starts again");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ran_it = stdout.contains("1 passed");
    assert!(
        output.status.success() && ran_it,
        "{name} in its own process: {}\n{stdout}\n{stderr}",
        output.status,
    );
}
