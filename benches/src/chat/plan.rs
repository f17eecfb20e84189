//! What the chat is asked to do.

use std::{net::SocketAddr, time::Duration};

use crate::args::Args;

/// All that one run needs to know.
#[derive(Debug, Clone)]
pub(crate) struct ChatPlan {
    pub(crate) address: SocketAddr,
    /// Connections, each of which is in one room.
    pub(crate) people: usize,
    pub(crate) rooms: usize,
    /// Messages per second, of all people together, on a fixed schedule.
    pub(crate) rate: f64,
    /// Before anything is counted.
    pub(crate) warmup: Duration,
    /// How a thread is blocked, as `/chaos/block?kind=` takes it; nothing is without.
    pub(crate) kind: Option<String>,
    /// How many requests ask for it at once.
    pub(crate) times: usize,
    /// For how long; without blocking, how long is measured.
    pub(crate) time: Duration,
    /// Look for answers without sleeping.
    pub(crate) spin: bool,
}

impl ChatPlan {
    /// Reads the command line of `chat`.
    ///
    /// # Errors
    /// A value that is missing or cannot be read.
    pub(crate) fn parse(args: &Args) -> Result<Self, String> {
        let kind = args.get::<String>("block")?;
        if let Some(kind) = kind
            .as_deref()
            .filter(|kind| !["sleep", "spin"].contains(kind))
        {
            return Err(format!("--block: sleep or spin, not {kind:?}"));
        }
        let (people, rooms) = (args.get_or("conns", 1_000)?, args.get_or("rooms", 20)?);
        let rate: f64 = args.get_or("rate", 200.0)?;
        if people == 0 || rooms == 0 || !rate.is_finite() || rate <= 0.0 {
            return Err("--conns, --rooms and --rate: more than none".to_owned());
        }
        Ok(Self {
            address: args.need("addr")?,
            people,
            rooms,
            rate,
            warmup: Duration::from_millis(args.get_or("warmup-ms", 500)?),
            kind,
            times: args.get_or("times", 2)?,
            time: Duration::from_millis(args.get_or("block-ms", 2_000)?),
            spin: args.flag("spin"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ChatPlan;
    use crate::args::Args;

    fn parse(line: &str) -> Result<ChatPlan, String> {
        ChatPlan::parse(&Args::parse(line.split_whitespace().map(str::to_owned))?)
    }

    #[test]
    fn reads_what_it_needs_and_refuses_the_rest() {
        let plan = parse("--addr 127.0.0.1:1 --block spin --conns 7").unwrap();
        assert_eq!((plan.people, plan.kind.as_deref()), (7, Some("spin")));
        for (line, complaint) in [
            ("--conns 7", "--addr"),
            ("--addr 127.0.0.1:1 --block lie", "lie"),
            ("--addr 127.0.0.1:1 --rooms 0", "--rooms"),
            ("--addr 127.0.0.1:1 --rate -1", "--rate"),
        ] {
            assert!(parse(line).unwrap_err().contains(complaint), "{line}");
        }
    }
}
