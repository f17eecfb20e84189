//! The one place that knows which HTTP server is underneath: here axum's own.

use std::{future::Future, io, time::Duration};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::oneshot};

use crate::config::Limits;

/// How serving ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// axum does not say who was still there.
    pub(crate) still_open: Vec<String>,
}

/// Serves `router` until `stop` resolves, then accepts no more and waits up to `drain` for the
/// requests under way. Of the limits it knows none: axum has no such settings.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    _limits: &Limits,
    drain: Duration,
) -> io::Result<Report> {
    let (stopping, asked) = oneshot::channel::<()>();
    let stop = async move {
        stop.await;
        // The other end waits below for as long as this runs.
        let _ = stopping.send(());
    };
    // Chat frames are small and wanted at once. A refusal shows when the connection is used.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop);
    let overdue = async move {
        let _ = asked.await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = serving => served?,
        () = overdue => {}
    }
    Ok(Report {
        still_open: Vec::new(),
    })
}
