//! `docs/benchmarks.md`: a section for each workload, each replaced by itself.

use super::cases::SECTIONS;

const HEAD: &str = "\
# Benchmarks

This file is written by `cargo xtask bench`; each section says with which command. Running one
workload again replaces its section and leaves the others.

Server and load generator are processes of their own, the server (all of its threads) bound to core
0, the load generator to core 1, unless a section says otherwise. Rounds are interleaved over the peers, each trial in a new process;
a figure is the median of the rounds, with the lowest and the highest behind it. CPU time is that of
the server process, user and kernel, from its CPU clock at both ends of the measured window, divided
by the answers in between. The user share is sampled by the kernel and is coarser. For work inside
one process, \"CPU ns\" is the CPU time of all of its threads for each operation, the median of many
batches; \"on the clock\" is what passed meanwhile. Latencies are in buckets of 1/128; in an open
loop they count from when a request was due, not from when it was sent. Every peer uses the system's
allocator. `-mt1` and `-mt2` are multi-threaded runtimes with one and two workers, `-unguarded` is
Tapio without its guard, `floor-` is a minimal program without a runtime. In
sections measured at 3175b30 or before, `-poll` is Tapio on epoll, and without it on io_uring, where
its sockets are no longer. What is slower than a peer is here too.
";

/// `document` with the section `name` replaced by `text`, or put in its place.
pub(crate) fn updated(document: &str, name: &str, text: &str) -> String {
    let mut result = String::from(HEAD);
    for section in SECTIONS {
        let kept = find(document, section.name);
        let body = if section.name == name {
            Some(text)
        } else {
            kept
        };
        if let Some(body) = body {
            let (begin, end) = marks(section.name);
            result.push_str(&format!("\n{begin}\n{}\n{end}\n", body.trim()));
        }
    }
    result
}

fn marks(name: &str) -> (String, String) {
    (
        format!("<!-- begin {name} -->"),
        format!("<!-- end {name} -->"),
    )
}

fn find<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (begin, end) = marks(name);
    let (_, rest) = document.split_once(&begin)?;
    Some(rest.split_once(&end)?.0)
}

#[cfg(test)]
mod tests {
    use super::{HEAD, updated};

    #[test]
    fn replaces_one_section_and_keeps_the_others_in_order() {
        let one = updated("", "spawn", "spawned");
        let two = updated(&one, "echo", "echoed");
        assert!(two.starts_with(HEAD));
        assert!(two.find("echoed").unwrap() < two.find("spawned").unwrap());
        let three = updated(&two, "spawn", "again");
        assert!(three.contains("echoed") && three.contains("again"));
        assert!(!three.contains("spawned"));
        assert_eq!(
            updated(&three, "spawn", "again"),
            three,
            "writing twice changes nothing"
        );
    }
}
