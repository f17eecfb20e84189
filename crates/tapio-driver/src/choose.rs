//! Which driver runs, decided at run time.

use std::env::VarError;
use std::fmt;
use std::io;

use crate::contract::{Driver, DriverKind};
use crate::error::named;
use crate::poll::PollDriver;
use crate::ring::{Ability, RingDriver};

/// Entries of a ring. Small, since locked memory is counted per user: 256
/// entries let some two hundred rings share the usual 8 MiB.
const RING_ENTRIES: u32 = 256;

/// Names the driver to try.
const DRIVER: &str = "TAPIO_DRIVER";
/// Lists abilities to do without.
const WITHOUT: &str = "TAPIO_RING_WITHOUT";

/// What a driver is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The driver to try; without a preference the ring is tried first.
    pub prefer: Option<DriverKind>,
    /// Entries of a ring; halved while the memory limit forbids so many.
    pub ring_entries: u32,
    /// Abilities to do without, as if the kernel lacked them.
    pub without: Vec<Ability>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            prefer: None,
            ring_entries: RING_ENTRIES,
            without: Vec::new(),
        }
    }
}

/// A driver that is open, and why it is not the one that was tried first.
#[derive(Debug)]
pub struct Chosen {
    /// The driver.
    pub driver: Box<dyn Driver>,
    /// Why it is not a ring, when a ring was tried.
    pub refusal: Option<Refusal>,
}

/// What was refused and why; `Display` is one clause for a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opens a driver. Any refusal of the ring, whatever its reason, means
/// readiness.
///
/// # Errors
/// When not even readiness is to be had: no descriptors or no memory left.
pub fn open(options: &Options) -> io::Result<Chosen> {
    let refusal = if options.prefer == Some(DriverKind::Poll) {
        None
    } else {
        match RingDriver::new(options.ring_entries, &options.without) {
            Ok(driver) => {
                return Ok(Chosen {
                    driver: Box::new(driver),
                    refusal: None,
                });
            }
            Err(why) => Some(Refusal(why.to_string())),
        }
    };
    let driver = PollDriver::new().map_err(|error| match &refusal {
        Some(refusal) => named(
            &format!("no driver: io_uring was refused ({refusal}), and so was epoll"),
            error,
        ),
        None => named("no driver: epoll was refused", error),
    })?;
    Ok(Chosen {
        driver: Box::new(driver),
        refusal,
    })
}

impl Options {
    /// Reads `TAPIO_DRIVER` (`ring` or `poll`), unless a preference was set,
    /// and `TAPIO_RING_WITHOUT` (a comma-separated list of abilities to do
    /// without, for tests of the fallback).
    ///
    /// # Errors
    /// When a variable holds anything else.
    pub fn read_environment(&mut self) -> io::Result<()> {
        if self.prefer.is_none()
            && let Some(name) = variable(DRIVER)?
        {
            let kind = name.parse::<DriverKind>();
            self.prefer = Some(kind.map_err(|why| invalid(DRIVER, &why.to_string()))?);
        }
        if let Some(names) = variable(WITHOUT)? {
            for name in names.split(',').filter(|name| !name.is_empty()) {
                let ability = name.parse::<Ability>();
                self.without
                    .push(ability.map_err(|why| invalid(WITHOUT, &why))?);
            }
        }
        Ok(())
    }
}

/// An environment variable that is set, which must be text.
fn variable(name: &str) -> io::Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(bytes)) => Err(invalid(name, &format!("{bytes:?} is no text"))),
    }
}

fn invalid(name: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{name}: {why}"))
}
