//! How a host is written: in a request, and on the command line.

use std::net::{IpAddr, Ipv6Addr};

/// What a request calls this server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    /// In small letters, without the dot that may end it.
    Name(String),
}

/// Whether this can be given as a further host: a name or an address, without a port.
pub(super) fn is_host(text: &str) -> bool {
    let bare = text.parse::<Ipv6Addr>().is_ok();
    bare || (split(text).is_some_and(|(_, port)| port.is_none()) && parse(text).is_some())
}

/// Reads `HOST` or `HOST:PORT`.
pub(crate) fn parse(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(Host::Address(IpAddr::V6(address).to_canonical()));
    }
    let (host, port) = split(text)?;
    // A port that is left out after its colon is the default one.
    if port.is_some_and(|port| !port.is_empty() && port.parse::<u16>().is_err()) {
        return None;
    }
    if let Some(inside) = host.strip_prefix('[') {
        let address: Ipv6Addr = inside.strip_suffix(']')?.parse().ok()?;
        return Some(Host::Address(IpAddr::V6(address).to_canonical()));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    if let Ok(address) = host.parse() {
        return Some(Host::Address(address));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = !host.is_empty() && host.bytes().all(is_plain) && !host.contains("..");
    (is_name && !host.starts_with('.') && !host.ends_with('.'))
        .then(|| Host::Name(host.to_ascii_lowercase()))
}

/// Takes the port off, which follows the last colon that is not inside of brackets.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let end = text.find(']').map_or(0, |end| end + 1);
    let (host, rest) = match text[end..].find(':') {
        Some(colon) => text.split_at(end + colon),
        None => (text, ""),
    };
    let port = rest.strip_prefix(':');
    (!port.is_some_and(|port| port.contains(':'))).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn what_can_be_given_as_a_host() {
        for host in ["chat.example", "chat.example.", "192.0.2.1", "::1", "[::1]"] {
            assert!(is_host(host), "{host}");
        }
        for other in [
            "",
            "http://chat.example",
            "chat.example:80",
            "*",
            "a b",
            "[::1]:80",
        ] {
            assert!(!is_host(other), "{other}");
        }
    }
}
