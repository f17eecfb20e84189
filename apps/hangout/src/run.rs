//! The life of the server: open, serve, stop.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use tapio::net::TcpListener;
use tapio::runtime::Handle;
use tapio::sync::watch;
use tapio::task::spawn_blocking;
use tapio::time::{Instant, timeout_at};

use crate::app::App;
use crate::config::Config;
use crate::http::Hosts;
use crate::hub::{self, Hub};
use crate::stop::StopSignals;
use crate::{http, say, serve, store};

/// Runs the server until it is asked to stop.
///
/// # Errors
///
/// One line that names what failed, on what, and why.
///
/// # Cancel safety
///
/// Meant to be run to its end; dropped early, clients are cut off and what is not yet written to
/// the database is not acknowledged either.
pub(crate) async fn run(config: Config, runtime: Handle) -> Result<(), String> {
    let descriptors = raise_descriptor_limit();
    let listener = listen(&config.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("cannot listen: {error}"))?;
    // Opening checks, writes and flushes, which is nothing to do on the loop.
    let (db, durability) = (config.db.clone(), config.durability);
    let opened = spawn_blocking(move || store::open(&db, durability))
        .await
        .map_err(|error| format!("opening the database failed: {error}"))??;
    let mut signals =
        StopSignals::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;

    let config = Arc::new(config);
    let hub = Arc::new(Hub::new(opened.rooms.clone(), &config.limits));
    let (store, outcomes, mut threads) = opened.start(config.limits.rooms);
    let publisher = tapio::spawn(hub::publish_all(Arc::clone(&hub), outcomes));
    let announcer = tapio::spawn(hub::announce_changes(Arc::clone(&hub)));
    let (stop, stopping) = watch::channel(false);
    let app = App {
        config: Arc::clone(&config),
        hosts: Arc::new(Hosts::new(&config.listen, address, &config.hosts)),
        hub: Arc::clone(&hub),
        store: store.clone(),
        stopping: stopping.clone(),
        runtime,
    };
    say(&format!(
        "hangout is open at http://{}/\n",
        browsable(address)
    ));
    let (db, driver) = (config.db.display(), app.runtime.metrics().driver());
    say(&format!(
        "  listening on {address}, database {db}, driver {driver}; ctrl-c stops
"
    ));

    let connections = config.limits.connections;
    if descriptors < connections as u64 {
        tracing::warn!(
            "only {descriptors} files may be open at once, fewer than --max-connections {connections}"
        );
    }

    let drain = config.limits.drain();
    let stopped = {
        let mut stopping = stopping;
        // An error means that the sender is gone, and with it the reason to go on.
        async move { drop(stopping.wait_for(|stop| *stop).await) }
    };
    // A moment longer than the hub's own deadline: it must still know by name whom it cuts off.
    let http_drain = drain + Duration::from_millis(50);
    let (limits, router) = (config.limits.clone(), http::router(app));
    let serving =
        tapio::spawn(
            async move { serve::serve(listener, router, stopped, &limits, http_drain).await },
        );
    let why = tapio::select! {
        signal = signals.wait() => Ok(signal),
        // It ends only by a panic while we have not asked it to.
        _ = &mut threads.writer => Err("the database writer has failed".to_owned()),
    };
    if let Ok(signal) = why {
        say(&format!("{signal}: stopping; ctrl-c again stops at once\n"));
    }
    let deadline = Instant::now() + drain;
    // Nobody listening would mean that all have stopped already.
    let _ = stop.send(true);
    let mut still_open = Vec::new();
    if timeout_at(deadline, hub.empty()).await.is_err() {
        still_open.extend(
            hub.names()
                .iter()
                .map(|name| format!("the chat of '{name}'")),
        );
    }
    let served = serving
        .await
        .map_err(|error| format!("serving failed: {error}"))?;
    still_open.extend(
        served
            .map_err(|error| format!("serving failed: {error}"))?
            .still_open,
    );
    announcer.abort();
    why?;
    store.stop().await;
    threads.join().await?;
    publisher
        .await
        .map_err(|error| format!("publishing failed: {error}"))?;
    if still_open.is_empty() {
        say("stopped; everything is stored\n");
    } else {
        let seconds = config.limits.drain_secs;
        let who = still_open.join(", ");
        say(&format!(
            "stopped; everything is stored; cut off after {seconds} s: {who}\n"
        ));
    }
    Ok(())
}

async fn listen(address: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "; another program has this port, choose one by --listen",
            io::ErrorKind::PermissionDenied => "; ports below 1024 need special rights",
            _ => "",
        };
        format!("cannot listen on {address}: {error}{hint}")
    })
}

/// The address as a browser on this machine can open it.
fn browsable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Shells allow 1,024 descriptors as a rule; a chat needs one for each connection. The hard limit
/// is ours to use without asking. Gives what is allowed in the end.
fn raise_descriptor_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < hard) {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
