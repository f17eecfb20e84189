//! The throw-away crate: its manifest, its copies of the tests, its programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::announce;
use crate::parity::source::{Cut, cut};
use crate::parity::{file_stem, files_in};
use crate::workspace::{Workspace, cargo, metadata, read, write};

/// Where the tests come from and go to.
#[derive(Debug)]
pub(crate) struct Harness {
    pub(crate) folder: PathBuf,
    pub(crate) tokio_version: String,
    /// The `tests` folder of the published crate.
    published: PathBuf,
    target: PathBuf,
}

/// A test program that compiled.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) program: PathBuf,
}

/// tokio's development dependencies for other systems and its own models.
const NOT_NEEDED: &[&str] = &[
    "backtrace",
    "loom",
    "mio-aio",
    "tracing-mock",
    "wasm-bindgen-test",
    "windows-sys",
];

/// The features that tokio's tests ask about. They are features of the
/// throw-away crate too, because `cfg(feature)` in a test asks the test.
const FEATURES: &[&str] = &[
    "full",
    "io-std",
    "io-util",
    "macros",
    "net",
    "rt",
    "rt-multi-thread",
    "signal",
    "sync",
    "time",
];

impl Harness {
    /// Finds tokio and writes the manifest.
    pub(crate) fn prepare(workspace: &Workspace, real: bool) -> Result<Harness, String> {
        let graph = metadata(&[])?;
        let tokio = graph["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["name"] == "tokio")
            .ok_or("tokio is not among the dependencies of the workspace")?;
        let manifest = PathBuf::from(tokio["manifest_path"].as_str().unwrap_or_default());
        let published = manifest.with_file_name("tests");
        if !published.is_dir() {
            return Err(format!(
                "tokio came without its tests: {}",
                published.display()
            ));
        }
        let version = tokio["version"].as_str().unwrap_or_default().to_owned();

        let folder = workspace.target.join("parity/crate");
        let tests = folder.join("tests");
        if tests.exists() {
            fs::remove_dir_all(&tests)
                .map_err(|error| format!("cannot empty {}: {error}", tests.display()))?;
        }
        write(
            &folder.join("Cargo.toml"),
            &manifest_text(workspace, tokio, real),
        )?;
        write(&folder.join("src/lib.rs"), "")?;
        // The versions of the workspace, as far as it knows the crates.
        let lock = folder.join("Cargo.lock");
        if !lock.exists() {
            write(&lock, &read(&workspace.root.join("Cargo.lock"))?)?;
        }
        let support = published.join("support");
        for file in files_in(&support)? {
            let name = file.file_name().unwrap_or_default();
            write(&tests.join("support").join(name), &read(&file)?)?;
        }
        Ok(Harness {
            folder,
            tokio_version: version,
            published,
            target: workspace.target.join("parity/target"),
        })
    }

    /// The test files of the crate, sorted.
    pub(crate) fn published_tests(&self) -> Result<Vec<PathBuf>, String> {
        files_in(&self.published)
    }

    /// Copies one file and says what was taken out of it.
    pub(crate) fn copy(&self, file: &Path) -> Result<Vec<Cut>, String> {
        let (text, cuts) = cut(&file_stem(file), &read(file)?);
        let name = file.file_name().unwrap_or_default();
        write(&self.folder.join("tests").join(name), &text)?;
        Ok(cuts)
    }

    /// Compiles every copied file; one that does not compile stops no other.
    pub(crate) fn build(&self) -> Result<BTreeMap<String, Built>, String> {
        let mut command = Command::new(cargo());
        command
            .args(["build", "--tests", "--keep-going"])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            // Warnings about tests that are not ours say nothing to us.
            .env("RUSTFLAGS", "-A warnings")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        announce(&command);
        let output = command
            .output()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        let mut built = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(message) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let name = message["target"]["name"].as_str();
            if let (Some(name), Some(program)) = (name, message["executable"].as_str()) {
                let program = PathBuf::from(program);
                built.insert(name.to_owned(), Built { program });
            }
        }
        if built.is_empty() {
            return Err("nothing compiled".to_owned());
        }
        Ok(built)
    }
}

fn manifest_text(workspace: &Workspace, tokio: &Value, real: bool) -> String {
    let version = tokio["version"].as_str().unwrap_or_default();
    let subject = if real {
        format!("{{ version = \"={version}\", features = [\"full\"] }}")
    } else {
        let path = workspace.root.join("crates/tapio");
        format!("{{ package = \"tapio\", path = {path:?}, features = [\"full\"] }}")
    };
    let mut text = format!(
        "# Written by `cargo xtask parity`.\n\
         [package]\nname = \"tokio-parity\"\nversion = \"0.0.0\"\nedition = \"2021\"\npublish = false\n\n\
         [workspace]\n\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n\n\
         [features]\ndefault = {FEATURES:?}\n"
    );
    for feature in FEATURES {
        text += &format!("{feature} = []\n");
    }
    text += &format!("\n[dependencies]\ntokio = {subject}\n\n[dev-dependencies]\n");
    let mut seen = Vec::new();
    for dependency in tokio["dependencies"].as_array().into_iter().flatten() {
        let name = dependency["name"].as_str().unwrap_or_default();
        let is_dev = dependency["kind"] == "dev";
        // Tests name a few of tokio's ordinary dependencies as well.
        let is_shared = ["bytes", "pin-project-lite"].contains(&name);
        if !(is_dev || is_shared) || NOT_NEEDED.contains(&name) || seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let features = &dependency["features"];
        let defaults = &dependency["uses_default_features"];
        let requirement = dependency["req"].as_str().unwrap_or("*");
        text += &format!(
            "{name} = {{ version = {requirement:?}, features = {features}, \
             default-features = {defaults} }}\n"
        );
    }
    text
}
