//! The HTTP side: the page, the API for programs, and the door to the WebSocket.
//!
//! Every error is JSON of one shape, `{"error":{"code":..,"message":..}}`, whoever noticed it.

mod api;
mod chaos;
pub(crate) mod crowd;
mod host;
mod input;
mod upgrade;

use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde::Serialize;

pub(crate) use self::host::Hosts;
use crate::app::App;
use crate::page;
use crate::protocol::{Code, Problem};

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new()
        .merge(page::routes())
        .route("/healthz", get(api::health))
        .route("/ws", any(upgrade::upgrade))
        .route("/api", get(api::about))
        .route("/api/rooms", get(api::list_rooms).post(api::create_room))
        .route("/api/rooms/{room}", get(api::show_room))
        .route(
            "/api/rooms/{room}/messages",
            get(api::history).post(api::send),
        );
    if app.config.chaos {
        router = router.route("/chaos/block", post(chaos::block));
    }
    router
        .fallback(async || Problem::new(Code::NotFound, "there is nothing at this address"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::MethodNotAllowed,
                "this address does not take this method",
            )
        })
        .layer(from_fn_with_state(app.clone(), crowd::check))
        .layer(from_fn_with_state(app.clone(), host::check))
        .layer(DefaultBodyLimit::max(app.config.limits.frame_bytes))
        .with_state(app)
}

#[derive(Serialize)]
struct ErrorBody {
    error: Problem,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.code.status(), Json(ErrorBody { error: self })).into_response()
    }
}

type Shared = State<App>;
