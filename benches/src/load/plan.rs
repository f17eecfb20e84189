//! What the load generator is asked to do.

use std::{net::SocketAddr, time::Duration};

use crate::{
    args::Args,
    workloads::stall::{SLEEP, SPIN},
};

/// What goes over the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// So many bytes go out, as many come back.
    Echo { bytes: usize },
    /// HTTP/1.1 on connections that stay.
    Http,
    /// HTTP/1.1, a new connection for each request.
    HttpClose,
}

/// Requests that block the server's threads while the others go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) kind: u8,
    /// How many connections ask for it, one shortly after the other.
    pub(crate) times: usize,
    pub(crate) time: Duration,
}

/// All that one run of the load generator needs to know.
#[derive(Debug, Clone)]
pub(crate) struct LoadPlan {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) protocol: Protocol,
    /// Requests per second on a fixed schedule; without it, each connection sends
    /// its next request when it has the answer to the last one.
    pub(crate) rate: Option<f64>,
    pub(crate) warmup: Duration,
    pub(crate) time: Duration,
    /// The process whose CPU time is taken.
    pub(crate) pid: Option<i32>,
    pub(crate) block: Option<Block>,
    /// Look for answers without sleeping.
    pub(crate) spin: bool,
}

impl LoadPlan {
    /// Reads the command line of `load`.
    ///
    /// # Errors
    /// A value that is missing or cannot be read.
    pub(crate) fn parse(args: &Args) -> Result<Self, String> {
        let bytes = args.get_or("bytes", 64)?;
        let protocol = match (args.flag("http"), args.flag("close")) {
            (false, _) => Protocol::Echo { bytes },
            (true, false) => Protocol::Http,
            (true, true) => Protocol::HttpClose,
        };
        let block = match args.get::<String>("block")?.as_deref() {
            None => None,
            Some(kind) => Some(Block {
                kind: match kind {
                    "sleep" => SLEEP,
                    "spin" => SPIN,
                    _ => return Err(format!("--block: sleep or spin, not {kind:?}")),
                },
                times: args.get_or("times", 1)?,
                time: Duration::from_millis(args.get_or("block-ms", 2_000)?),
            }),
        };
        let seconds = |name: &str, default: f64| {
            Duration::try_from_secs_f64(args.get_or(name, default)?)
                .map_err(|error| format!("--{name}: {error}"))
        };
        Ok(Self {
            address: args.need("addr")?,
            connections: args.get_or("conns", 64)?,
            protocol,
            rate: args.get("rate")?,
            warmup: seconds("warmup", 0.5)?,
            time: seconds("secs", 3.0)?,
            pid: args.get("pid")?,
            block,
            spin: args.flag("spin"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{LoadPlan, Protocol};
    use crate::args::Args;

    fn parse(line: &str) -> Result<LoadPlan, String> {
        LoadPlan::parse(&Args::parse(line.split_whitespace().map(str::to_owned))?)
    }

    #[test]
    fn reads_what_it_needs_and_refuses_the_rest() {
        let plan = parse("--addr 127.0.0.1:1 --http --close --secs 0.25").unwrap();
        assert_eq!(plan.protocol, Protocol::HttpClose);
        assert_eq!(plan.time.as_millis(), 250);
        assert!(parse("--http").unwrap_err().contains("--addr"));
        assert!(
            parse("--addr 127.0.0.1:1 --block lie")
                .unwrap_err()
                .contains("lie")
        );
        assert!(
            parse("--addr 127.0.0.1:1 --secs -1")
                .unwrap_err()
                .contains("--secs")
        );
    }
}
