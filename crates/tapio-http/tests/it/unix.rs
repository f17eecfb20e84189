//! Serving over a Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::routing::get;
use tapio::net::UnixListener;
use tapio_http::{ListenerExt, Peer};

use crate::support::{PATIENCE, on_each_driver};

fn ask(path: &std::path::Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_router_is_served_over_a_unix_socket() {
    on_each_driver(|driver| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let runtime = driver.runtime();
        let _entered = runtime.enter();
        let listener = UnixListener::bind(&path).unwrap();
        let app = Router::new().route("/", get(|| async { "hello over unix" }));
        let serve = tapio_http::serve(listener, app);
        assert_eq!(
            serve.local_addr().unwrap().as_pathname(),
            Some(path.as_path())
        );
        let monitor = serve.monitor();
        runtime.spawn(serve.into_future());

        let answer = ask(&path);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello over unix"), "{answer}");

        // A client without a name is known by its process.
        let open = UnixStream::connect(&path).unwrap();
        assert!(crate::support::wait_until(|| monitor.open_count() == 1));
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(
            monitor.open()[0].peer,
            Peer::Unix {
                path: None,
                pid: Some(me)
            }
        );
        drop(open);
    });
}

#[derive(Clone, Debug)]
struct Caller(Option<i32>);

impl Connected<Caller> for Caller {
    fn connect_info(caller: Caller) -> Self {
        caller
    }
}

#[test]
fn a_mapped_address_reaches_the_handler() {
    on_each_driver(|driver| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let runtime = driver.runtime();
        let _entered = runtime.enter();
        let listener = UnixListener::bind(&path)
            .unwrap()
            .map_addr(|stream, _addr| Caller(stream.peer_cred().ok().and_then(|cred| cred.pid())));
        let app = Router::new().route(
            "/",
            get(async |ConnectInfo(Caller(pid)): ConnectInfo<Caller>| format!("{pid:?}")),
        );
        runtime.spawn(
            tapio_http::serve(
                listener,
                app.into_make_service_with_connect_info::<Caller>(),
            )
            .into_future(),
        );

        let answer = ask(&path);
        assert!(
            answer.ends_with(&format!("\r\n\r\nSome({})", std::process::id())),
            "{answer}"
        );
    });
}
