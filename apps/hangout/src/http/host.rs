//! Which names this server answers to.
//!
//! A page of another site can have its own name lead to this machine (DNS rebinding). For the
//! browser it then is of one origin with us and may read and write whatever it likes; only the
//! `Host` of its requests shows what it is. So a request that names another host is refused.
//!
//! Ports are not compared: the name is what an attacker cannot choose, and a forwarded port is
//! no attack. Neither can an address be made to lead elsewhere, so one that listens on all
//! addresses answers to each.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Shared;
use crate::config::host::{Host, parse};
use crate::protocol::{Code, Problem, excerpt};

/// The names that are answered to.
#[derive(Debug)]
pub(crate) struct Hosts {
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
    any_address: bool,
}

impl Hosts {
    /// The names of a server that was asked to listen on `listen`, does so on `address`, and was
    /// given `more` names.
    pub(crate) fn new(listen: &str, address: SocketAddr, more: &[String]) -> Self {
        let mut hosts = Self {
            names: BTreeSet::new(),
            addresses: BTreeSet::from([address.ip().to_canonical()]),
            any_address: address.ip().is_unspecified(),
        };
        for given in more.iter().map(String::as_str).chain([listen]) {
            // The command line was checked, and what is no host has no request that names it.
            match parse(given) {
                Some(Host::Address(address)) => drop(hosts.addresses.insert(address)),
                Some(Host::Name(name)) => drop(hosts.names.insert(name)),
                None => {}
            }
        }
        hosts
    }

    fn contains(&self, host: &Host) -> bool {
        match host {
            Host::Address(address) => {
                self.any_address || address.is_loopback() || self.addresses.contains(address)
            }
            // Browsers resolve these themselves, to this machine.
            Host::Name(name) => {
                name == "localhost" || name.ends_with(".localhost") || self.names.contains(name)
            }
        }
    }

    /// Checks each name that a request gives this server.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let mut given = Vec::new();
        // HTTP/2 has the name here, and so has the absolute form of HTTP/1.
        if let Some(authority) = uri.authority() {
            given.push(authority.as_str());
        }
        let mut header = headers.get_all(header::HOST).iter();
        if let Some(host) = header.next() {
            let bad = || Problem::new(Code::BadRequest, "the 'Host' header is not a host");
            given.push(host.to_str().map_err(|_| bad())?);
        }
        if header.next().is_some() {
            let message = "a request has one 'Host' header; this one had several";
            return Err(Problem::new(Code::BadRequest, message));
        }
        if given.is_empty() {
            let message = "a request must say by 'Host' whom it is for; this one did not";
            return Err(Problem::new(Code::BadRequest, message));
        }
        for given in given {
            let Some(host) = parse(given) else {
                let message = format!("'{}' is not a host", excerpt(given));
                return Err(Problem::new(Code::BadRequest, message));
            };
            if !self.contains(&host) {
                let message = format!(
                    "this server does not go by the name '{}'; see --host",
                    excerpt(given)
                );
                return Err(Problem::new(Code::UnknownHost, message));
            }
        }
        Ok(())
    }
}

/// Refuses requests for others, whatever they ask for.
pub(super) async fn check(State(app): Shared, request: Request, next: Next) -> Response {
    match app.hosts.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Uri, header};

    use super::Hosts;

    /// The status that a request gets, 200 if it may pass.
    fn status(hosts: &Hosts, uri: &str, given: &[&str]) -> u16 {
        let mut headers = HeaderMap::new();
        for host in given {
            let host = HeaderValue::from_bytes(host.as_bytes()).expect("a value");
            headers.append(header::HOST, host);
        }
        let uri: Uri = uri.parse().expect("a URI");
        let checked = hosts.check(&uri, &headers);
        checked.map_or_else(|problem| problem.code.status().as_u16(), |()| 200)
    }

    #[test]
    fn own_names_pass_and_others_do_not() {
        let more = ["chat.example".to_owned(), "2001:db8::7".to_owned()];
        let address = "192.0.2.1:7800".parse().expect("an address");
        let hosts = Hosts::new("Inside.example:7800", address, &more);
        for (host, expected) in [
            ("localhost", 200),
            ("LOCALHOST:7800", 200),
            ("localhost.", 200),
            ("localhost.:80", 200),
            ("localhost:", 200),
            ("tea.localhost", 200),
            ("127.0.0.1:9", 200),
            ("127.8.8.8", 200),
            ("[::1]:7800", 200),
            ("[0:0:0:0:0:0:0:1]", 200),
            ("[::ffff:127.0.0.1]", 200),
            ("192.0.2.1", 200),
            ("[::ffff:192.0.2.1]:7800", 200),
            ("192.0.2.2:7800", 421),
            ("inside.example", 200),
            ("chat.example", 200),
            ("Chat.Example.:443", 200),
            ("[2001:db8::7]", 200),
            ("[2001:db8::8]", 421),
            ("evil.example:7800", 421),
            ("localhost.evil.example", 421),
            ("evillocalhost", 421),
            ("127.0.0.1.evil.example", 421),
            ("chat.example.evil", 421),
            ("xchat.example", 421),
            ("", 400),
            (".", 400),
            (".localhost", 400),
            ("localhost..", 400),
            ("localhost:http", 400),
            ("localhost:99999", 400),
            ("localhost:1:2", 400),
            ("[::1", 400),
            ("::1]", 400),
            ("[::1]x", 400),
            ("[fe80::1%25lo]", 400),
            ("evil.example@localhost", 400),
            ("localhost evil.example", 400),
            ("localhost,evil.example", 400),
            ("localhost/", 400),
            ("l\u{f6}calhost", 400),
        ] {
            assert_eq!(status(&hosts, "/", &[host]), expected, "{host:?}");
        }
    }

    #[test]
    fn each_name_counts_wherever_it_is() {
        let hosts = Hosts::new("[::1]:7800", "[::1]:7800".parse().expect("it is one"), &[]);
        let own = "http://localhost:7800/";
        for (uri, given, expected) in [
            ("/", &[][..], 400),
            ("/", &["localhost", "localhost"], 400),
            ("/", &["localhost", "evil.example"], 400),
            (own, &[], 200),
            (own, &["localhost"], 200),
            (own, &["evil.example"], 421),
            ("http://evil.example/", &[], 421),
            ("http://evil.example/", &["localhost"], 421),
            ("http://localhost@evil.example/", &["localhost"], 400),
        ] {
            assert_eq!(status(&hosts, uri, given), expected, "{uri} {given:?}");
        }
    }

    #[test]
    fn on_all_addresses_each_address_is_its_own() {
        for listen in ["0.0.0.0:7800", "[::]:7800"] {
            let hosts = Hosts::new(listen, listen.parse().expect("an address"), &[]);
            for (host, expected) in [
                ("198.51.100.7:7800", 200),
                ("[2001:db8::7]", 200),
                ("evil.example", 421),
            ] {
                assert_eq!(status(&hosts, "/", &[host]), expected, "{host}");
            }
        }
    }
}
