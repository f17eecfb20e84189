//! What `serve` serves: tower services, services made per connection, hyper
//! services, all brought to the one form that hyper drives.

use std::error::Error;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use hyper::service::Service as HyperService;
use pin_project_lite::pin_project;
use tower_service::Service as TowerService;

use crate::serve::body::{Body as TimedBody, RequestBody};

/// The error that services and bodies end in.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The forms that a service can come in.
///
/// They tell the three implementations of [`MakeService`] apart. The compiler
/// finds the one that fits; nobody writes them.
pub mod kind {
    use std::marker::PhantomData;

    /// A `tower` service of requests, cloned for each connection and request.
    #[derive(Debug)]
    pub enum Tower {}

    /// A `tower` service of addresses that answers with a service of requests.
    #[derive(Debug)]
    pub enum Make {}

    /// A service of hyper's own trait, cloned for each connection, of requests
    /// with this body.
    #[derive(Debug)]
    pub struct Hyper<R>(PhantomData<R>);
}

/// Anything that [`serve`](crate::serve()) can serve.
///
/// It is implemented for
///
/// - every `tower` service of `Request<tapio_http::Body>` that can be cloned: an `axum::Router`, one with layers around it, a
///   `tower::service_fn`;
/// - every `tower` service that makes such a service from the listener's
///   address: `Router::into_make_service_with_connect_info::<SocketAddr>()`,
///   `tower::make::Shared`;
/// - every service of hyper's trait that can be cloned, of `Request<tapio_http::Body>`
///   or of `Request<hyper::body::Incoming>`: `hyper::service::service_fn`.
///
/// Nothing else needs to implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be served",
    label = "neither a service of requests nor one that makes such services",
    note = "a service takes `Request<tapio_http::Body>`, is `Clone + Send + 'static`, has a `Send` future, and answers with a `Response` whose body is `Send`"
)]
pub trait MakeService<Addr, Kind>: Send + 'static {
    /// The body of the requests that it takes.
    type RequestBody: RequestBody;

    /// The service of one connection.
    type Service: HyperService<
            Request<Self::RequestBody>,
            Response = Response<Self::Body>,
            Error: Into<BoxError>,
            Future: Send + 'static,
        > + Send
        + 'static;

    /// The body of its responses.
    type Body: Body<Data: Send, Error: Into<BoxError>> + Send + 'static;

    /// Makes the service of one connection.
    type Making: Future<Output = Result<Self::Service, BoxError>> + Send + 'static;

    /// Waits until a service can be made; nothing is accepted before.
    ///
    /// # Errors
    ///
    /// An error ends the server: no service will be made any more.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;

    /// Starts to make the service for a connection from `addr`.
    fn make(&mut self, addr: Addr) -> Self::Making;
}

impl<Addr, S, B> MakeService<Addr, kind::Tower> for S
where
    S: TowerService<
            Request<TimedBody>,
            Response = Response<B>,
            Error: Into<BoxError>,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type RequestBody = TimedBody;
    type Service = FromTower<S>;
    type Body = B;
    type Making = Ready<Result<FromTower<S>, BoxError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn make(&mut self, _addr: Addr) -> Self::Making {
        ready(Ok(FromTower {
            service: self.clone(),
        }))
    }
}

impl<Addr, M, S, B> MakeService<Addr, kind::Make> for M
where
    M: TowerService<Addr, Response = S, Error: Into<BoxError>, Future: Send + 'static>
        + Send
        + 'static,
    S: TowerService<
            Request<TimedBody>,
            Response = Response<B>,
            Error: Into<BoxError>,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type RequestBody = TimedBody;
    type Service = FromTower<S>;
    type Body = B;
    type Making = Making<M::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        TowerService::poll_ready(self, cx).map_err(Into::into)
    }

    fn make(&mut self, addr: Addr) -> Self::Making {
        Making {
            future: self.call(addr),
        }
    }
}

impl<Addr, S, R, B> MakeService<Addr, kind::Hyper<R>> for S
where
    R: RequestBody,
    S: HyperService<
            Request<R>,
            Response = Response<B>,
            Error: Into<BoxError>,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type RequestBody = R;
    type Service = S;
    type Body = B;
    type Making = Ready<Result<S, BoxError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn make(&mut self, _addr: Addr) -> Self::Making {
        ready(Ok(self.clone()))
    }
}

pin_project! {
    /// Waits for a `tower` service that makes services.
    #[derive(Debug)]
    pub struct Making<F> {
        #[pin]
        future: F,
    }
}

impl<F, S, E> Future for Making<F>
where
    F: Future<Output = Result<S, E>>,
    E: Into<BoxError>,
{
    type Output = Result<FromTower<S>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let made = ready!(self.project().future.poll(cx));
        Poll::Ready(
            made.map(|service| FromTower { service })
                .map_err(Into::into),
        )
    }
}

/// A `tower` service under hyper's trait.
///
/// hyper calls through a shared reference and does not ask whether the service
/// is ready; so each request gets a clone, which is made ready first, as tower
/// asks.
#[derive(Clone, Debug)]
pub struct FromTower<S> {
    service: S,
}

impl<S> HyperService<Request<TimedBody>> for FromTower<S>
where
    S: TowerService<Request<TimedBody>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answer<S>;

    fn call(&self, request: Request<TimedBody>) -> Answer<S> {
        Answer {
            state: State::Getting {
                service: self.service.clone(),
                request: Some(request),
            },
        }
    }
}

pin_project! {
    /// Waits for a `tower` service to be ready, then for its response.
    pub struct Answer<S>
    where
        S: TowerService<Request<TimedBody>>,
    {
        #[pin]
        state: State<S>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S>
    where
        S: TowerService<Request<TimedBody>>,
    {
        Getting { service: S, request: Option<Request<TimedBody>> },
        Called { #[pin] future: S::Future },
    }
}

impl<S: TowerService<Request<TimedBody>>> Future for Answer<S> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Getting { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let Some(request) = request.take() else {
                        unreachable!("the request is taken once, when the state changes");
                    };
                    let future = service.call(request);
                    state.set(State::Called { future });
                }
                StateProjection::Called { future } => return future.poll(cx),
            }
        }
    }
}

impl<S: TowerService<Request<TimedBody>>> fmt::Debug for Answer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}
