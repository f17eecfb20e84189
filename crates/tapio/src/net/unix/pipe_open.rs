//! Opening a pipe that has a path, and checking that a descriptor is one.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FileType, OFlags};

use super::pipe::{Receiver, Sender};

/// How to open a pipe that has a path (a FIFO).
///
/// # Examples
/// ```no_run
/// use tapio::net::unix::pipe::OpenOptions;
///
/// # fn open() -> std::io::Result<()> {
/// let receiver = OpenOptions::new().open_receiver("/run/commands")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Opens for the one direction, and checks that the file is a pipe.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Opens for both directions, which Linux allows: a sender need not wait
    /// for a receiver then, and a receiver does not see the stream end when the
    /// last sender leaves.
    pub fn read_write(&mut self, value: bool) -> &mut OpenOptions {
        self.read_write = value;
        self
    }

    /// Does not check that the file is a pipe.
    pub fn unchecked(&mut self, value: bool) -> &mut OpenOptions {
        self.unchecked = value;
        self
    }

    /// Opens the reading end. Does not wait for a writer; reading does.
    ///
    /// # Errors
    /// What the kernel answers; [`InvalidInput`](io::ErrorKind::InvalidInput)
    /// if the file is no pipe.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        let file = self.open(path.as_ref(), true)?;
        Receiver::from_file_unchecked(file)
    }

    /// Opens the writing end.
    ///
    /// # Errors
    /// What the kernel answers, `ENXIO` if nobody has opened the reading end;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is no pipe.
    ///
    /// # Panics
    /// Outside a runtime with I/O enabled.
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        let file = self.open(path.as_ref(), false)?;
        Sender::from_file_unchecked(file)
    }

    fn open(&self, path: &Path, reads: bool) -> io::Result<File> {
        let file = std::fs::OpenOptions::new()
            .read(reads || self.read_write)
            .write(!reads || self.read_write)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(path)?;
        if !self.unchecked {
            require_pipe(&file)?;
        }
        Ok(file)
    }
}

/// Checks that `fd` is a pipe open for writing, and makes it nonblocking.
pub(super) fn writing_end(fd: impl AsFd) -> io::Result<()> {
    end(fd, OFlags::WRONLY, "the pipe is not open for writing")
}

/// Checks that `fd` is a pipe open for reading, and makes it nonblocking.
pub(super) fn reading_end(fd: impl AsFd) -> io::Result<()> {
    end(fd, OFlags::RDONLY, "the pipe is not open for reading")
}

fn end(fd: impl AsFd, mode: OFlags, otherwise: &str) -> io::Result<()> {
    require_pipe(&fd)?;
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    let access = flags & OFlags::RWMODE;
    if access != mode && access != OFlags::RDWR {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, otherwise));
    }
    if !flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    }
    Ok(())
}

fn require_pipe(fd: impl AsFd) -> io::Result<()> {
    let stat = rustix::fs::fstat(fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the file is not a pipe",
        ));
    }
    Ok(())
}

pub(super) fn set_blocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(&fd, flags - OFlags::NONBLOCK)?)
}
