//! A service whose requests are noted in the state of their connection.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::{Buf, Incoming};
use hyper::service::Service;
use pin_project_lite::pin_project;
use tapio::guard::resume_observed;
use tracing::error;

use crate::serve::body::{RequestBody, Watching};
use crate::serve::service::BoxError;
use crate::serve::state::{InFlight, State};

/// A connection's service, watched.
#[derive(Debug)]
pub(super) struct Watched<S, R> {
    service: S,
    state: Arc<State>,
    body: PhantomData<fn(R)>,
}

impl<S, R> Watched<S, R> {
    pub(super) fn new(service: S, state: Arc<State>) -> Self {
        Self {
            service,
            state,
            body: PhantomData,
        }
    }
}

impl<S, R, B> Service<Request<Incoming>> for Watched<S, R>
where
    R: RequestBody,
    S: Service<Request<R>, Response = Response<B>, Error: Into<BoxError>>,
    B: Body,
{
    type Response = Response<WatchedBody<B>>;
    type Error = BoxError;
    type Future = WatchedAnswer<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.state.begin_request(&request);
        let is_connect = request.method() == Method::CONNECT;
        let request = request.map(|body| R::make(body, Watching { state: &self.state }));
        let future = noting_panics(&self.state, || self.service.call(request));
        WatchedAnswer {
            future,
            in_flight: Some(in_flight),
            is_connect,
        }
    }
}

pin_project! {
    /// The future of a watched request.
    pub(super) struct WatchedAnswer<F> {
        #[pin]
        future: F,
        // Goes on into the body.
        in_flight: Option<InFlight>,
        is_connect: bool,
    }
}

impl<F, B, E> Future for WatchedAnswer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response<WatchedBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(in_flight) = this.in_flight.as_ref() else {
            unreachable!("hyper polls no future after its end");
        };
        let state = in_flight.state();
        let answer = ready!(noting_panics(state, || this.future.poll(cx)));
        let response = answer.map_err(|error| {
            let error = error.into();
            error!(
                peer = %state.peer(),
                request = state.last_request().map(tracing::field::display),
                error,
                "the service failed instead of answering; its connection or stream is given up",
            );
            error
        })?;
        // From here on hyper may give the stream away, which has to know before.
        let is_switching = state.is_http1() && response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if is_switching || (*this.is_connect && response.status().is_success()) {
            state.set_upgraded();
        }
        let in_flight = this.in_flight.take();
        Poll::Ready(Ok(response.map(|body| WatchedBody {
            body,
            in_flight,
            is_held: false,
        })))
    }
}

pin_project! {
    /// A response's body; its request is in flight until it is dropped.
    pub(super) struct WatchedBody<B> {
        #[pin]
        body: B,
        in_flight: Option<InFlight>,
        // Over HTTP/2: whether hyper has a frame of it and waits for the peer.
        is_held: bool,
    }

    impl<B> PinnedDrop for WatchedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let (true, Some(in_flight)) = (*this.is_held, this.in_flight) {
                in_flight.state().set_answer_held(false);
            }
        }
    }
}

impl<B: Body> Body for WatchedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let Some(in_flight) = this.in_flight else {
            return this.body.poll_frame(cx);
        };
        let state = in_flight.state();
        let polled = noting_panics(state, || this.body.poll_frame(cx));
        if state.is_http2() {
            let frame = match &polled {
                Poll::Ready(Some(Ok(frame))) => Some(frame),
                _ => None,
            };
            if frame.is_some() != *this.is_held {
                *this.is_held = frame.is_some();
                state.set_answer_held(*this.is_held);
            }
            if let Some(data) = frame.and_then(Frame::data_ref) {
                state.add_answer_bytes(data.remaining());
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs the user's code; if it panics, that is counted and said on the way out.
///
/// The panic goes on: it ends the task, which is the connection's or, over
/// HTTP/2, the stream's. Nobody looks at those, and nobody needs to any more.
pub(super) fn noting_panics<T>(state: &State, user: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(user)).unwrap_or_else(|payload| {
        state.add_panic();
        error!(
            peer = %state.peer(),
            request = state.last_request().map(tracing::field::display),
            "the service panicked; its connection or stream is closed",
        );
        resume_observed(payload)
    })
}
