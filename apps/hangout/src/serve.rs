//! The one place that knows which HTTP server is underneath.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use tapio::net::TcpListener;
use tapio_http::{Activity, Monitor};
use tower_service::Service;

use crate::config::Limits;
use crate::http::crowd::Crowded;

/// How serving ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Each HTTP connection that was still open when the deadline passed: peer, and what it did.
    pub(crate) still_open: Vec<String>,
}

/// So many connections over the limit are accepted to be told so; the kernel keeps the rest.
const TOLD_MAX: usize = 32;

/// Serves `router` until `stop` resolves, then accepts no more and waits up to `drain` for the
/// requests under way. Requests of a connection over the limit are marked as [`Crowded`].
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
    limits: &Limits,
    drain: Duration,
) -> io::Result<Report> {
    let monitor = Arc::new(OnceLock::new());
    let door = Door {
        router,
        monitor: Arc::clone(&monitor),
        most: limits.connections,
    };
    let serve = tapio_http::serve(listener, door)
        // Chat frames are small and wanted at once.
        .tcp_nodelay(true)
        .max_connections(limits.connections + TOLD_MAX)
        .header_read_timeout(seconds(limits.read_secs))
        .body_timeout(seconds(limits.read_secs))
        .write_timeout(limits.write())
        .idle_timeout(seconds(limits.idle_secs))
        .with_graceful_shutdown(stop)
        .drain_timeout(drain);
    // It is set once, here.
    let _ = monitor.set(serve.monitor());
    let report = serve.await?;
    // WebSockets say goodbye in their own protocol, and the hub knows them by name.
    let open = report
        .open
        .iter()
        .filter(|open| open.activity != Activity::Upgraded);
    Ok(Report {
        still_open: open.map(ToString::to_string).collect(),
    })
}

fn seconds(count: usize) -> Duration {
    Duration::from_secs(count as u64)
}

/// Gives each connection its router, and knows how many there are.
struct Door {
    router: Router,
    monitor: Arc<OnceLock<Monitor>>,
    most: usize,
}

impl Service<SocketAddr> for Door {
    type Response = Router;
    type Error = Infallible;
    type Future = Ready<Result<Router, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: SocketAddr) -> Self::Future {
        // Counts everything: what is idle, half a request, a WebSocket, and this one.
        let open = self.monitor.get().map_or(0, Monitor::open_count);
        let router = self.router.clone();
        ready(Ok(if open > self.most {
            router.layer(Extension(Crowded))
        } else {
            router
        }))
    }
}
