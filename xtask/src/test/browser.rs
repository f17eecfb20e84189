//! The browser that hangout's page is tested in.

use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use crate::test::{is_installed, set_up};

/// The names Chromium goes by.
const PROGRAMS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Tells a test that there is no browser, and why; absent if there is one.
const SKIP_BROWSER: &str = "TAPIO_SKIP_BROWSER";

/// Whether there is a browser to test with.
#[derive(Debug)]
pub(crate) enum Browser {
    Ready,
    Absent { why: String },
}

impl Browser {
    /// Passes it on to the tests, which skip themselves and say so.
    pub(crate) fn tell(&self, command: &mut Command) {
        if let Browser::Absent { why } = self {
            command.env(SKIP_BROWSER, why);
        }
    }
}

/// Finds the browser or, on Debian and as root, installs it.
pub(crate) fn prepare(skip: bool) -> Browser {
    if skip {
        return Browser::Absent {
            why: "left out on request".to_owned(),
        };
    }
    if PROGRAMS.iter().any(|program| is_installed(program)) {
        return Browser::Ready;
    }
    if !is_installed("apt-get") || !Path::new("/etc/debian_version").exists() {
        return Browser::Absent {
            why: "no Chromium here, and this is not Debian: please install it".to_owned(),
        };
    }
    if !geteuid().is_root() {
        return Browser::Absent {
            why: "no Chromium here: run `apt-get install chromium` as root".to_owned(),
        };
    }
    println!("Chromium is missing; installing Debian's package (--skip-browser leaves this out)");
    let installed = set_up("apt-get", &["update", "-q"]).and_then(|()| {
        let install = ["install", "-q", "-y", "--no-install-recommends"];
        set_up(
            "apt-get",
            &[&install[..], &["chromium", "fonts-dejavu-core"]].concat(),
        )
    });
    match installed {
        Ok(()) => Browser::Ready,
        Err(why) => Browser::Absent {
            why: format!("Chromium could not be installed: {why}"),
        },
    }
}
