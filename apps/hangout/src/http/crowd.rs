//! What a connection over the limit is told.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Shared;
use crate::protocol::{Code, Problem};

/// Marks the requests of a connection that is one too many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowded;

/// Refuses such requests and closes their connection. Those who only ask how the server is get
/// their answer first: a full server is well.
pub(super) async fn check(State(app): Shared, request: Request, next: Next) -> Response {
    if request.extensions().get::<Crowded>().is_none() {
        return next.run(request).await;
    }
    // HTTP/2 has no such header, and ends the connection when it is idle.
    let can_close = request.version() < Version::HTTP_2;
    let mut response = if request.uri().path() == "/healthz" {
        next.run(request).await
    } else {
        let most = app.config.limits.connections;
        let message = format!("all {most} connections are taken; try again later");
        Problem::new(Code::TooManyConnections, message).into_response()
    };
    if can_close {
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
