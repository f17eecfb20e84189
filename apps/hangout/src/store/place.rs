//! Whether the open database is still the one that its path names.
//!
//! SQLite goes on writing into a file that was deleted, moved or exchanged, and reports success.
//! What is stored there is gone with the process, so it must not be acknowledged.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The files of an open database, as they were when it was opened.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    files: Vec<Known>,
    /// The size of the database file when it was last looked at. It never shrinks by itself:
    /// nothing is deleted from it.
    len: u64,
}

#[derive(Debug)]
struct Known {
    /// What it is called towards those who need not know the path.
    role: &'static str,
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    /// Remembers the files of the database at `path`, which is open as `main`, as are the two
    /// files that SQLite keeps beside it.
    ///
    /// # Errors
    ///
    /// What is missing or different already.
    pub(super) fn new(path: &Path, main: &File) -> Result<Self, String> {
        let odd = |error: io::Error| format!("its files cannot be examined ({error})");
        let known = |role, path: PathBuf, found: &Metadata| Known {
            role,
            path,
            device: found.dev(),
            inode: found.ino(),
        };
        let found = main.metadata().map_err(odd)?;
        let mut files = vec![known("the database file", path.to_owned(), &found)];
        // SQLite follows links, and keeps these beside the file itself.
        let real = fs::canonicalize(path).map_err(odd)?;
        for (role, end) in [
            ("the database's write-ahead log", "-wal"),
            ("the index of the database's write-ahead log", "-shm"),
        ] {
            let mut name: OsString = real.clone().into();
            name.push(end);
            let beside = PathBuf::from(name);
            let found = fs::metadata(&beside).map_err(odd)?;
            files.push(known(role, beside, &found));
        }
        let mut place = Self {
            path: path.to_owned(),
            files,
            len: 0,
        };
        place.check()?;
        Ok(place)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that each path still names the file that is open.
    ///
    /// # Errors
    ///
    /// What is wrong, without the path.
    ///
    /// # Cost
    ///
    /// Three `stat` calls.
    pub(super) fn check(&mut self) -> Result<(), String> {
        for (index, file) in self.files.iter().enumerate() {
            let role = file.role;
            let found = fs::metadata(&file.path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                    format!("{role} was deleted or moved while in use")
                }
                _ => format!("{role} cannot be examined any more ({error})"),
            })?;
            if (found.dev(), found.ino()) != (file.device, file.inode) {
                return Err(format!("{role} was replaced by another while in use"));
            }
            if index == 0 {
                if found.len() < self.len {
                    return Err(format!("{role} was cut short while in use"));
                }
                self.len = found.len();
            }
        }
        Ok(())
    }
}
