//! What a runtime may use of the kernel, decided at run time.

use std::env::VarError;
use std::io;

use crate::contract::DriverKind;
use crate::operations::{Ability, Refusal, probe};

/// Names what operations may use.
const DRIVER: &str = "TAPIO_DRIVER";
/// Lists abilities to do without.
const WITHOUT: &str = "TAPIO_RING_WITHOUT";

/// What a driver may use of the kernel.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What operations may use; without a preference the ring is tried first.
    pub prefer: Option<DriverKind>,
    /// Abilities to do without, as if the kernel lacked them.
    pub without: Vec<Ability>,
}

impl Options {
    /// Finds out how operations are done: by a ring, unless readiness is
    /// preferred or the kernel refuses. Any refusal, whatever its reason,
    /// means readiness.
    ///
    /// # Cost
    /// A thread and a ring, both gone afterwards.
    #[must_use]
    pub fn operations(&self) -> (DriverKind, Option<Refusal>) {
        if self.prefer == Some(DriverKind::Poll) {
            return (DriverKind::Poll, None);
        }
        match probe(&self.without) {
            Ok(()) => (DriverKind::Ring, None),
            Err(refusal) => (DriverKind::Poll, Some(refusal)),
        }
    }

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
