//! The same over a Unix socket, with the peer's process id in the handler.
//!
//! Run it with `cargo run -p tapio-http --example unix` and ask it with
//! `curl --unix-socket /tmp/tapio-hello.sock http://localhost/`, which answers
//! with the process id of that curl.
#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::Connected;
use axum::routing::get;
use tapio::net::UnixListener;
use tapio_http::ListenerExt;

/// Who is at the other end, as the handlers want to know it.
#[derive(Clone, Debug)]
struct Caller {
    pid: Option<i32>,
}

impl Connected<Caller> for Caller {
    fn connect_info(caller: Caller) -> Self {
        caller
    }
}

#[tapio::main]
async fn main() -> std::io::Result<()> {
    let path = std::env::temp_dir().join("tapio-hello.sock");
    // A socket file of an earlier run would make the bind fail.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?.map_addr(|stream, _addr| Caller {
        pid: stream.peer_cred().ok().and_then(|cred| cred.pid()),
    });
    println!("listening on {}", path.display());

    let app = Router::new().route("/", get(whoami));
    tapio_http::serve(
        listener,
        app.into_make_service_with_connect_info::<Caller>(),
    )
    .await?;
    Ok(())
}

async fn whoami(ConnectInfo(caller): ConnectInfo<Caller>) -> String {
    match caller.pid {
        Some(pid) => format!("you are process {pid}\n"),
        None => "the kernel did not say who you are\n".to_owned(),
    }
}
