//! Where things are: the root, its packages, its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The workspace as `cargo metadata` describes it.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One member.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// Those that turn anything on.
    pub(crate) features: Vec<String>,
    pub(crate) examples: Vec<(String, PathBuf)>,
    /// Whether it has a library that other code can link, and so documentation
    /// tests.
    pub(crate) has_library: bool,
}

/// One line of a manifest's dependencies.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) package: String,
    pub(crate) features: Vec<String>,
    pub(crate) default_features: bool,
    /// Whether it is a path and so one of ours.
    pub(crate) is_local: bool,
}

impl Workspace {
    /// Asks cargo, about the members only.
    pub(crate) fn load() -> Result<Workspace, String> {
        let value = metadata(&["--no-deps"])?;
        let packages = array(&value, "packages").iter().map(package).collect();
        Ok(Workspace {
            root: path(&value, "workspace_root"),
            target: path(&value, "target_directory"),
            packages,
        })
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// Every file below the root that is ours, relative to it.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, String> {
        let mut files = Vec::new();
        walk(&self.root, &self.root, &mut files)?;
        files.sort();
        Ok(files)
    }

    /// The files with one extension.
    pub(crate) fn files_with(&self, extension: &str) -> Result<Vec<PathBuf>, String> {
        let mut files = self.files()?;
        files.retain(|file| file.extension().is_some_and(|found| found == extension));
        Ok(files)
    }
}

/// Runs `cargo metadata` in the workspace that this tool belongs to.
pub(crate) fn metadata(args: &[&str]) -> Result<Value, String> {
    let output = Command::new(cargo())
        .args(["metadata", "--format-version", "1"])
        .args(args)
        .current_dir(manifest_dir())
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo metadata failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cannot read what cargo metadata says: {error}"))
}

/// The cargo that runs us, so that a toolchain override holds for its children.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Reads a file and names it if that fails.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Writes a file, with the folders above it, and names it if that fails.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The folder of this tool's manifest. `cargo run` says where it is now; what
/// was compiled in may be elsewhere if the checkout moved.
fn manifest_dir() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder)
        .map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry.map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder {
            // Build output, wherever CARGO_TARGET_DIR puts it, carries cargo's
            // tag; `.git` is the only other folder that is not ours.
            if name != ".git" && !name.starts_with("target") && !path.join("CACHEDIR.TAG").exists()
            {
                walk(root, &path, files)?;
            }
        } else if let Ok(relative) = path.strip_prefix(root) {
            files.push(relative.to_owned());
        }
    }
    Ok(())
}

fn package(value: &Value) -> Package {
    let targets = array(value, "targets");
    let has_kind = |target: &Value, kind: &str| array(target, "kind").iter().any(|k| k == kind);
    Package {
        name: text(value, "name"),
        manifest: path(value, "manifest_path"),
        dependencies: array(value, "dependencies")
            .iter()
            .map(dependency)
            .collect(),
        features: value["features"]
            .as_object()
            .map(|features| {
                let turns_on = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
                let names = features.iter().filter(|(_, list)| turns_on(list));
                names.map(|(name, _)| name.clone()).collect()
            })
            .unwrap_or_default(),
        examples: targets
            .iter()
            .filter(|target| has_kind(target, "example"))
            .map(|target| (text(target, "name"), path(target, "src_path")))
            .collect(),
        has_library: targets
            .iter()
            .any(|target| has_kind(target, "lib") || has_kind(target, "proc-macro")),
    }
}

fn dependency(value: &Value) -> Dependency {
    Dependency {
        package: text(value, "name"),
        features: array(value, "features")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        default_features: value["uses_default_features"].as_bool().unwrap_or(true),
        is_local: !value["path"].is_null(),
    }
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn path(value: &Value, key: &str) -> PathBuf {
    PathBuf::from(text(value, key))
}
