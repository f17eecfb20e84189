//! An axum router on Tapio, stopped gracefully by a timer or ctrl-c of the shell.
//!
//! Run it with `cargo run -p tapio-http --example hello_axum`, open the address
//! that it prints, and press Enter to stop: it finishes what is being answered
//! and then prints what it served and what was still open.
#![expect(clippy::print_stdout, reason = "an example prints what it shows")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Path};
use axum::routing::get;

#[tapio::main]
async fn main() -> std::io::Result<()> {
    let app =
        Router::new()
            .route("/", get(|| async { "Hello from Tapio!\n" }))
            .route(
                "/you",
                get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move {
                    format!("you are {peer}\n")
                }),
            )
            .route("/wait/{ms}", get(wait));

    let listener = tapio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);

    let report = tapio_http::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .max_connections(10_000)
    .with_graceful_shutdown(enter_pressed())
    .drain_timeout(Duration::from_secs(5))
    .await?;
    println!("{report}");
    Ok(())
}

async fn wait(Path(ms): Path<u64>) -> String {
    tapio::time::sleep(Duration::from_millis(ms)).await;
    format!("waited {ms} ms\n")
}

async fn enter_pressed() {
    let read_line = || std::io::stdin().read_line(&mut String::new());
    if let Ok(Err(error)) = tapio::task::spawn_blocking(read_line).await {
        println!("cannot read standard input ({error}), stopping");
    }
}
