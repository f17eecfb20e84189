//! The task of one connection.
//!
//! ```text
//!            made            bytes                 answered, closed, upgraded
//!   Making ────────▶ Telling ────────▶ Http1 ─────────────────────────────▶ Gone
//!                       │    preface   Http2 ─────────────────────────────▶ Gone
//!                       └── nothing came, overdue, stopping ──────────────▶ Gone
//! ```
//!
//! `Telling` is left out where only one protocol is served. hyper's own
//! detection is not used, since it waits for the first bytes without a limit
//! and cannot be asked what it waits for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::server::conn::{http1, http2};
use pin_project_lite::pin_project;
use tracing::{debug, error};

use crate::rt::TapioExecutor;
use crate::serve::listener::Listener;
use crate::serve::patience::{Overdue, Patience};
use crate::serve::protocol::poll_protocol;
use crate::serve::registry::{Registry, count};
use crate::serve::report::Protocol;
use crate::serve::service::{BoxError, MakeService};
use crate::serve::settings::Settings;
use crate::serve::state::{Orders, Phase, State};
use crate::serve::stream::Stream;
use crate::serve::watched::{Watched, noting_panics};

pin_project! {
    /// Serves one connection to its end.
    pub(super) struct Connection<L, M, K>
    where
        L: Listener,
        M: MakeService<L::Addr, K>,
    {
        #[pin]
        stage: Stage<L, M, K>,
        state: Arc<State>,
        registry: Arc<Registry>,
        settings: Arc<Settings>,
        orders: Orders,
        patience: Patience,
        is_closing: bool,
        // What had come when an idle connection was asked to close.
        bytes_in_at_idle: u64,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<L, M, K>
    where
        L: Listener,
        M: MakeService<L::Addr, K>,
    {
        Making { #[pin] making: M::Making, stream: Option<Stream<L::Io>> },
        Telling { parts: Option<(Stream<L::Io>, Watched<M::Service, M::RequestBody>)>, matched: usize },
        Http1 { #[pin] http: http1::UpgradeableConnection<Stream<L::Io>, Watched<M::Service, M::RequestBody>> },
        Http2 { #[pin] http: http2::Connection<Stream<L::Io>, Watched<M::Service, M::RequestBody>, TapioExecutor> },
        Gone,
    }
}

impl<L, M, K> Connection<L, M, K>
where
    L: Listener,
    M: MakeService<L::Addr, K>,
{
    pub(super) fn new(
        stream: Stream<L::Io>,
        state: Arc<State>,
        registry: Arc<Registry>,
        making: M::Making,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            stage: Stage::Making {
                making,
                stream: Some(stream),
            },
            state,
            registry,
            settings,
            orders: Orders::default(),
            patience: Patience::default(),
            is_closing: false,
            bytes_in_at_idle: 0,
        }
    }
}

impl<L, M, K> Future for Connection<L, M, K>
where
    L: Listener,
    M: MakeService<L::Addr, K>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let phase = this.orders.poll(this.state, cx.waker());
        if phase == Phase::Cut {
            this.stage.set(Stage::Gone);
            return Poll::Ready(());
        }
        loop {
            // One that is busy is asked first, so that its answer says that it
            // is the last. One that is not is polled first, so that a request
            // which is already here gets its answer.
            if phase == Phase::Draining && !*this.is_closing && this.state.is_busy() {
                *this.is_closing = this.stage.as_mut().close_gracefully();
            }
            if let Poll::Ready(outcome) =
                this.stage
                    .as_mut()
                    .poll(cx, this.state, this.settings, phase)
            {
                this.stage.set(Stage::Gone);
                if let Err(error) = outcome {
                    count(&this.registry.failed);
                    debug!(peer = %this.state.peer(), error, "connection failed");
                }
                return Poll::Ready(());
            }
            if phase == Phase::Draining && !*this.is_closing {
                *this.is_closing = this.stage.as_mut().close_gracefully();
                if *this.is_closing {
                    continue;
                }
            }
            match ready!(this.patience.poll(cx, this.state, this.settings)) {
                Overdue::Request if !*this.is_closing => {
                    if !this.state.is_upgraded() {
                        count(&this.registry.idle_timeouts);
                    }
                    this.stage.as_mut().close_gracefully();
                    *this.is_closing = true;
                    *this.bytes_in_at_idle = this.state.bytes_in();
                }
                // It has heard that, and ends with the upgraded stream it carries.
                Overdue::Request
                    if this.state.is_upgraded()
                        && this.state.bytes_in() > *this.bytes_in_at_idle => {}
                Overdue::Request => {
                    debug!(peer = %this.state.peer(), "idle connection does not close: dropped");
                    this.stage.set(Stage::Gone);
                    return Poll::Ready(());
                }
                // The service is polled again, and gets an error for its body.
                Overdue::Body if this.state.fail_body() => {
                    debug!(peer = %this.state.peer(), "no request body in time");
                }
                Overdue::Body => {
                    debug!(peer = %this.state.peer(), "no request body, and no answer without it: dropped");
                    this.stage.set(Stage::Gone);
                    return Poll::Ready(());
                }
                // The stream is polled again, and asks.
                Overdue::Unsent => this.state.ask_unsent(),
                Overdue::Write => {
                    count(&this.registry.write_timeouts);
                    debug!(peer = %this.state.peer(), "the peer does not read: dropped");
                    this.stage.set(Stage::Gone);
                    return Poll::Ready(());
                }
                Overdue::Head => {
                    count(&this.registry.header_timeouts);
                    debug!(peer = %this.state.peer(), "no complete request head in time: dropped");
                    this.stage.set(Stage::Gone);
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl<L, M, K> Stage<L, M, K>
where
    L: Listener,
    M: MakeService<L::Addr, K>,
{
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        state: &Arc<State>,
        settings: &Settings,
        phase: Phase,
    ) -> Poll<Result<(), BoxError>> {
        loop {
            let next = match self.as_mut().project() {
                StageProjection::Making { making, stream } => {
                    let made = ready!(noting_panics(state, || making.poll(cx)));
                    let Some(stream) = stream.take() else {
                        unreachable!("the service is made once");
                    };
                    let service = made.inspect_err(|error| {
                        error!(peer = %state.peer(), error, "no service could be made for a connection");
                    })?;
                    let service = Watched::new(service, Arc::clone(state));
                    match (settings.with_http1, settings.with_http2) {
                        (true, true) => Stage::Telling {
                            parts: Some((stream, service)),
                            matched: 0,
                        },
                        (true, false) => Stage::http1(settings, stream, service),
                        (false, _) => Stage::http2(settings, stream, service),
                    }
                }
                StageProjection::Telling { parts, matched } => {
                    let Some((stream, _)) = parts.as_mut() else {
                        unreachable!("a stage that was left is not polled");
                    };
                    let told = match poll_protocol(cx, stream, matched) {
                        Poll::Ready(told) => told?,
                        Poll::Pending if phase == Phase::Draining && *matched == 0 => None,
                        Poll::Pending => return Poll::Pending,
                    };
                    let Some((stream, service)) = parts.take() else {
                        unreachable!("it was there a moment ago");
                    };
                    match told {
                        Some(Protocol::Http2) => Stage::http2(settings, stream, service),
                        Some(_) => Stage::http1(settings, stream, service),
                        None => return Poll::Ready(Ok(())),
                    }
                }
                StageProjection::Http1 { http } => return http.poll(cx).map_err(Into::into),
                StageProjection::Http2 { http } => return http.poll(cx).map_err(Into::into),
                StageProjection::Gone => return Poll::Ready(Ok(())),
            };
            self.set(next);
        }
    }

    fn http1(
        settings: &Settings,
        stream: Stream<L::Io>,
        service: Watched<M::Service, M::RequestBody>,
    ) -> Self {
        stream.state().set_protocol(Protocol::Http1);
        let http = settings
            .http1
            .serve_connection(stream, service)
            .with_upgrades();
        Stage::Http1 { http }
    }

    fn http2(
        settings: &Settings,
        stream: Stream<L::Io>,
        service: Watched<M::Service, M::RequestBody>,
    ) -> Self {
        stream.state().set_protocol(Protocol::Http2);
        let http = settings.http2.serve_connection(stream, service);
        Stage::Http2 { http }
    }

    /// Asks for the end after the current request, if there is a protocol to
    /// ask in.
    fn close_gracefully(self: Pin<&mut Self>) -> bool {
        match self.project() {
            StageProjection::Http1 { http } => http.graceful_shutdown(),
            StageProjection::Http2 { http } => http.graceful_shutdown(),
            StageProjection::Making { .. }
            | StageProjection::Telling { .. }
            | StageProjection::Gone => return false,
        }
        true
    }
}
