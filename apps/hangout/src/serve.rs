//! The one place that knows which HTTP server is underneath.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use tapio::net::TcpListener;
use tapio_http::Activity;

/// How serving ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Each HTTP connection that was still open when the deadline passed: peer, and what it did.
    pub(crate) still_open: Vec<String>,
}

/// Serves `router` until `stop` resolves, then accepts no more and waits up to `drain` for the
/// requests under way.
///
/// # Errors
///
/// When the listener fails for good.
///
/// # Cancel safety
///
/// Dropped early, it stops accepting; connections already accepted go on by themselves.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    drain: Duration,
) -> io::Result<Report> {
    let report = tapio_http::serve(listener, router)
        // Chat frames are small and wanted at once.
        .tcp_nodelay(true)
        .with_graceful_shutdown(stop)
        .drain_timeout(drain)
        .await?;
    // WebSockets say goodbye in their own protocol, and the hub knows them by name.
    let open = report
        .open
        .iter()
        .filter(|open| open.activity != Activity::Upgraded);
    Ok(Report {
        still_open: open.map(ToString::to_string).collect(),
    })
}
