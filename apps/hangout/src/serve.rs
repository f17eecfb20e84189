//! The one place that knows which HTTP server is underneath.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tapio::net::TcpListener;
use tapio::sync::oneshot;

/// How serving ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Each connection that was still open when the deadline passed, named as well as it can be.
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
    // Chat frames are small and wanted at once. A socket that refuses the option still works.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop.await;
        // Nobody listening means that serving has already ended.
        let _ = stopping.send(());
    });
    let deadline = async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tapio::time::sleep(drain).await;
    };
    tapio::select! {
        served = server.into_future() => served.map(|()| Report { still_open: Vec::new() }),
        () = deadline => Ok(Report { still_open: vec!["HTTP connections".to_owned()] }),
    }
}
