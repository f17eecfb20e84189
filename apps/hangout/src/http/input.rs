//! Reads requests, so that what is wrong with one is told in the API's own way.

use std::error::Error;
use std::io;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::protocol::{Code, Problem};

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        // A page of another site can post a form or plain text to us without asking, but not
        // this type: its browser would ask us first, and we never agree.
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let message = "the body must be sent with 'content-type: application/json'";
            return Err(Problem::new(Code::BadRequest, message));
        }
        let bytes =
            Bytes::from_request(request, app)
                .await
                .map_err(|rejection| match rejection {
                    BytesRejection::FailedToBufferBody(error)
                        if error.status() == StatusCode::PAYLOAD_TOO_LARGE =>
                    {
                        let most = app.config.limits.frame_bytes;
                        Problem::new(
                            Code::FrameTooLarge,
                            format!("a body has at most {most} bytes"),
                        )
                    }
                    other if is_overdue(&other) => Problem::new(
                        Code::BodyTimeout,
                        "the body of this request did not come in time",
                    ),
                    other => Problem::new(Code::BadRequest, other.body_text()),
                })?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Self(value)),
            Err(error) if error.is_data() => Err(Problem::new(
                Code::BadRequest,
                format!("not what is expected here: {error}"),
            )),
            Err(error) => Err(Problem::new(Code::BadJson, format!("not JSON: {error}"))),
        }
    }
}

/// Whether reading a body has failed because the client let us wait.
fn is_overdue(rejection: &BytesRejection) -> bool {
    let mut cause: Option<&dyn Error> = Some(rejection);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::TimedOut;
        }
        cause = error.source();
    }
    false
}

/// The part of an address after the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, app).await;
        query
            .map(|Query(query)| Self(query))
            .map_err(|rejection: QueryRejection| {
                Problem::new(Code::BadRequest, rejection.body_text())
            })
    }
}

/// The room that an address names.
pub(super) struct Room(pub(super) String);

impl FromRequestParts<App> for Room {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Path(room): Path<String> = Path::from_request_parts(parts, app)
            .await
            .map_err(|rejection| Problem::new(Code::BadRequest, rejection.body_text()))?;
        if app.hub.knows(&room) {
            Ok(Self(room))
        } else {
            Err(Problem::unknown_room(&room))
        }
    }
}
