//! Which drivers to test with, and whether this machine has a ring.

use io_uring::IoUring;

use crate::tally::Tally;

/// The choice on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Drivers {
    Ring,
    Poll,
    #[default]
    Both,
}

impl Drivers {
    /// Reads the value of `--driver`.
    pub(crate) fn parse(value: Option<&String>) -> Result<Drivers, String> {
        match value.map(String::as_str) {
            Some("ring") => Ok(Drivers::Ring),
            Some("poll") => Ok(Drivers::Poll),
            Some("both") => Ok(Drivers::Both),
            Some(other) => Err(format!("no driver `{other}`: it is ring, poll or both")),
            None => Err("--driver needs a value: ring, poll or both".to_owned()),
        }
    }
}

/// The drivers to run with, as values of `TAPIO_DRIVER`.
///
/// A ring that is refused here is a skip, said once, unless only the ring was
/// asked for: then there is nothing left to run, and that is an error.
pub(crate) fn choose(wanted: Drivers, tally: &mut Tally) -> Result<Vec<&'static str>, String> {
    if wanted == Drivers::Poll {
        return Ok(vec!["poll"]);
    }
    match (probe_ring(), wanted) {
        (Ok(()), Drivers::Ring) => Ok(vec!["ring"]),
        (Ok(()), _) => Ok(vec!["ring", "poll"]),
        (Err(why), Drivers::Ring) => Err(format!("cannot test with the ring: {why}")),
        (Err(why), _) => {
            println!("no io_uring here ({why}): testing with the poll driver only");
            tally.skip(format!("every test with the ring driver: {why}"));
            Ok(vec!["poll"])
        }
    }
}

/// Asks the kernel for a ring as the driver does: these flags came last with
/// 6.1, so an older kernel refuses them.
fn probe_ring() -> Result<(), String> {
    <IoUring>::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8)
        .map(drop)
        .map_err(|error| format!("io_uring is refused: {error}"))
}
