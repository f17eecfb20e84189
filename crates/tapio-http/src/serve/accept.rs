//! Accepting: one task, until the signal or until the listener is broken.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tapio::task::{Builder, yield_now};
use tapio::time::{Instant, sleep};
use tracing::{error, warn};

use crate::rt::now;
use crate::serve::connection::Connection;
use crate::serve::listener::Listener;
use crate::serve::registry::{Registry, count};
use crate::serve::service::MakeService;
use crate::serve::settings::Settings;
use crate::serve::stream::Stream;
use crate::serve::watched::noting_panics;

/// The first wait after a failure that will not pass by itself at once; it
/// doubles with each one that follows.
const BACK_OFF_MIN: Duration = Duration::from_millis(5);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// The same complaint is not logged more often than this.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// A future that tells the server to stop.
pub(super) type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Accepts and starts connections until `signal` is ready.
///
/// The listener is dropped on return, so its port refuses from then on.
///
/// # Errors
///
/// The listener is broken, or no more services can be made.
pub(super) async fn accept_until<L, M, K>(
    mut listener: L,
    mut make: M,
    mut signal: Option<Signal>,
    settings: &Arc<Settings>,
    registry: &Arc<Registry>,
) -> io::Result<()>
where
    L: Listener,
    M: MakeService<L::Addr, K>,
    K: 'static,
{
    let mut full = Complaint::default();
    let mut failing = Complaint::default();
    let mut back_off = BACK_OFF_MIN;
    loop {
        if registry.open_count() >= settings.connections_max {
            count(&registry.limit_pauses);
            if full.is_due() {
                warn!(
                    limit = settings.connections_max,
                    "as many connections as allowed are open: accepting pauses until one closes",
                );
            }
            while registry.open_count() >= settings.connections_max {
                tapio::select! {
                    biased;
                    () = signalled(&mut signal) => return Ok(()),
                    () = registry.closed() => {}
                }
            }
        }
        let accepted = tapio::select! {
            biased;
            () = signalled(&mut signal) => return Ok(()),
            accepted = next(&mut listener, &mut make) => accepted,
        };
        match accepted {
            Ok((io, addr)) => {
                back_off = BACK_OFF_MIN;
                if let Err(error) = listener.set_nodelay(&io, settings.nodelay) {
                    warn!(%error, "cannot set TCP_NODELAY on a connection; it is served without");
                }
                let entry = registry.open(listener.peer(&io, &addr), settings);
                let state = Arc::clone(entry.state());
                let stream = Stream::new(io, entry, L::unsent);
                // The service's own code runs here, and a panic of it must not
                // end the server. The connection goes with its stream.
                let making = AssertUnwindSafe(|| noting_panics(&state, || make.make(addr)));
                let Ok(making) = catch_unwind(making) else {
                    continue;
                };
                let connection: Connection<L, M, K> = Connection::new(
                    stream,
                    state,
                    Arc::clone(registry),
                    making,
                    Arc::clone(settings),
                );
                let task = Builder::new().spawned_at(settings.served_at);
                drop(task.spawn(connection));
            }
            Err(error) if is_broken(&error) => return Err(error),
            Err(error) => {
                count(&registry.accept_errors);
                if failing.is_due() {
                    error!(%error, "cannot accept a connection; trying again");
                }
                if is_of_one_connection(&error) {
                    // A listener may have many of them at hand.
                    yield_now().await;
                    continue;
                }
                // Most likely there is no file descriptor left: one that is
                // closed is as good a reason to try again as time.
                tapio::select! {
                    biased;
                    () = signalled(&mut signal) => return Ok(()),
                    () = registry.closed() => {}
                    () = sleep(back_off) => {}
                }
                back_off = BACK_OFF_MAX.min(back_off * 2);
            }
        }
    }
}

/// Accepts once a service can be made for what comes.
async fn next<L, M, K>(listener: &mut L, make: &mut M) -> io::Result<(L::Io, L::Addr)>
where
    L: Listener,
    M: MakeService<L::Addr, K>,
{
    poll_fn(|cx| make.poll_ready(cx))
        .await
        .map_err(io::Error::other)?;
    listener.accept().await
}

async fn signalled(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => signal.await,
        None => pending().await,
    }
}

/// Errors after which there is no sense in trying again.
fn is_broken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Other
    )
}

/// Errors that are over with the connection that they belong to.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}

/// Something to log, but not each time.
#[derive(Debug, Default)]
struct Complaint {
    last: Option<Instant>,
}

impl Complaint {
    fn is_due(&mut self) -> bool {
        let now = now();
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < COMPLAINT_INTERVAL)
        {
            return false;
        }
        self.last = Some(now);
        true
    }
}
