//! The JSON API; the README shows each of these with curl.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tapio::sync::oneshot;

use super::Shared;
use super::input::{Asked, Body, Room};
use crate::app::{App, SERVER};
use crate::hub::Ticket;
use crate::protocol::{Code, HistoryPage, LimitsView, Message, Problem, RoomSummary};
use crate::store::{Action, Done, ReadError, Span};
use crate::text;

#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    /// What is wrong with the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    rooms: usize,
    connections: usize,
}

/// A database that takes longer to say how it is, is not well.
const CHECK_MAX: Duration = Duration::from_secs(2);

pub(super) async fn health(State(app): Shared) -> Response {
    let stopping = *app.stopping.borrow();
    let (code, status, problem) = if stopping {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping", None)
    } else {
        let checked = tapio::time::timeout(CHECK_MAX, app.store.check()).await;
        match checked.unwrap_or_else(|_| Err("the database does not answer".to_owned())) {
            Ok(()) => (StatusCode::OK, "ok", None),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, "failing", Some(why)),
        }
    };
    let health = Health {
        status,
        problem,
        rooms: app.hub.rooms().len(),
        connections: app.hub.seats_taken(),
    };
    (code, Json(health)).into_response()
}

#[derive(Serialize)]
pub(super) struct About {
    server: &'static str,
    limits: LimitsView,
}

pub(super) async fn about(State(app): Shared) -> Json<About> {
    Json(About {
        server: SERVER,
        limits: app.limits_view(),
    })
}

#[derive(Serialize)]
pub(super) struct RoomList {
    rooms: Vec<RoomSummary>,
}

pub(super) async fn list_rooms(State(app): Shared) -> Json<RoomList> {
    Json(RoomList {
        rooms: app.hub.rooms(),
    })
}

#[derive(Deserialize)]
pub(super) struct NewRoom {
    name: String,
}

pub(super) async fn create_room(
    State(app): Shared,
    Body(new): Body<NewRoom>,
) -> Result<(StatusCode, Json<RoomSummary>), Problem> {
    let room = text::room_name(&new.name, &app.config.limits)?;
    match write(&app, Action::CreateRoom { room }).await? {
        Done::Room(room) => Ok((StatusCode::CREATED, Json(room))),
        Done::Message { .. } => Err(mixed_up()),
    }
}

#[derive(Serialize)]
pub(super) struct RoomView {
    #[serde(flatten)]
    summary: RoomSummary,
    who: Vec<PersonView>,
}

#[derive(Serialize)]
pub(super) struct PersonView {
    name: Arc<str>,
    connections: usize,
}

pub(super) async fn show_room(
    State(app): Shared,
    Room(room): Room,
) -> Result<Json<RoomView>, Problem> {
    let (summary, people) = app
        .hub
        .room(&room)
        .ok_or_else(|| Problem::unknown_room(&room))?;
    let who = people
        .into_iter()
        .map(|(name, connections)| PersonView { name, connections });
    Ok(Json(RoomView {
        summary,
        who: who.collect(),
    }))
}

#[derive(Deserialize)]
pub(super) struct PageAsked {
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn history(
    State(app): Shared,
    Room(room): Room,
    Asked(asked): Asked<PageAsked>,
) -> Result<Json<HistoryPage>, Problem> {
    let span = match (asked.before, asked.after) {
        (None, None) => Span::Newest,
        (Some(seq), None) => Span::Before(seq),
        (None, Some(seq)) => Span::After(seq),
        (Some(_), Some(_)) => {
            let message = "ask for 'before' or 'after', not for both";
            return Err(Problem::new(Code::BadRequest, message));
        }
    };
    let most = app.config.limits.page;
    let limit = asked.limit.unwrap_or(most).clamp(1, most);
    match app.store.history(&room, span, limit).await {
        Ok(page) => Ok(Json(page)),
        Err(ReadError::UnknownRoom) => Err(Problem::unknown_room(&room)),
        Err(ReadError::Closed) => Err(stopping()),
        Err(ReadError::Disk(why)) => Err(Problem::new(
            Code::Storage,
            format!("the history could not be read: {why}"),
        )),
    }
}

#[derive(Deserialize)]
pub(super) struct NewMessage {
    name: String,
    text: String,
    nonce: Option<String>,
}

pub(super) async fn send(
    State(app): Shared,
    Room(room): Room,
    Body(new): Body<NewMessage>,
) -> Result<(StatusCode, Json<Message>), Problem> {
    let name = text::person_name(&new.name, &app.config.limits)?;
    let text = text::message_text(&new.text, &app.config.limits)?;
    if let Some(nonce) = &new.nonce {
        text::nonce(nonce)?;
    }
    match write(
        &app,
        Action::Append {
            room,
            name,
            text,
            nonce: new.nonce,
        },
    )
    .await?
    {
        Done::Message { message, duplicate } => {
            let status = if duplicate {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            Ok((status, Json(Arc::unwrap_or_clone(message))))
        }
        Done::Room(_) => Err(mixed_up()),
    }
}

/// Waits until a change is durable. Given up half-way by the client, the change may still be made.
async fn write(app: &App, action: Action) -> Result<Done, Problem> {
    let (answer, answered) = oneshot::channel();
    app.store
        .write(action, Ticket::Http(answer))
        .await
        .map_err(|_| stopping())?;
    answered.await.unwrap_or_else(|_| Err(stopping()))
}

fn stopping() -> Problem {
    Problem::new(Code::Stopping, "the server is stopping")
}

/// The writer answers each action with its own kind of outcome; this is for the type checker.
fn mixed_up() -> Problem {
    Problem::new(Code::Storage, "the database answered another question")
}
