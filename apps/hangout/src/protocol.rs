//! What goes over the wire: the requests a client may make and the events it is sent, as JSON.
//!
//! The README describes the same for people; a change here is a change there.

use std::sync::Arc;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

/// A frame from a client, told apart by its `type`.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request {
    Hello {
        name: String,
    },
    Join {
        room: String,
        after: Option<u64>,
    },
    Leave {
        room: String,
    },
    Send {
        room: String,
        text: String,
        nonce: String,
    },
    History {
        room: String,
        before: Option<u64>,
        after: Option<u64>,
        limit: Option<usize>,
    },
    Create {
        room: String,
    },
    Ping,
}

/// A frame to a client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// The answer to `hello`.
    Welcome {
        name: &'a str,
        rooms: &'a [RoomSummary],
        limits: LimitsView,
        server: &'a str,
    },
    /// The answer to `join`: who is there, and messages as [`HistoryPage`] has them.
    Joined {
        people: &'a [Arc<str>],
        #[serde(flatten)]
        page: &'a HistoryPage,
    },
    /// The answer to `leave`.
    Left {
        room: &'a str,
    },
    /// The answer to `history`.
    History(&'a HistoryPage),
    /// The answer to `create`; everybody else hears of the room by `rooms`.
    Created {
        room: &'a RoomSummary,
    },
    /// A message is durable; `duplicate` if it already was before this request.
    Ack {
        room: &'a str,
        nonce: &'a str,
        seq: u64,
        duplicate: bool,
    },
    /// Somebody wrote in a room that this connection has joined.
    Message(&'a Message),
    /// Who came and went in a joined room since the last such event.
    Presence {
        room: &'a str,
        joined: &'a [Arc<str>],
        left: &'a [Arc<str>],
        people: usize,
    },
    /// Rooms that are new or have changed.
    Rooms {
        rooms: &'a [RoomSummary],
    },
    Pong,
    Error(&'a Problem),
}

impl Event<'_> {
    /// The event as the text of one frame.
    pub(crate) fn to_json(&self) -> String {
        // These types hold strings and numbers only, so there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// One stored message. `seq` counts from 1 in each room, without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    pub(crate) room: Arc<str>,
    pub(crate) seq: u64,
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) time_ms: u64,
}

/// A run of messages, oldest first.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryPage {
    pub(crate) room: Arc<str>,
    pub(crate) messages: Vec<Message>,
    /// Whether there are further messages in the direction asked for: newer ones with `after`,
    /// else older ones.
    pub(crate) more: bool,
    /// The newest message of the room when the page was read.
    pub(crate) last_seq: u64,
}

/// A room as the list of rooms shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RoomSummary {
    pub(crate) name: Arc<str>,
    pub(crate) people: usize,
    pub(crate) last_seq: u64,
    pub(crate) created_ms: u64,
}

/// The limits that a client does well to know.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LimitsView {
    pub(crate) message_chars: usize,
    pub(crate) name_chars: usize,
    pub(crate) room_chars: usize,
    pub(crate) frame_bytes: usize,
    pub(crate) joined: usize,
    pub(crate) rate: usize,
    pub(crate) burst: usize,
    pub(crate) page: usize,
}

/// What is wrong with a request, for a program (`code`) and for a person (`message`).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
}

impl Problem {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            room: None,
            nonce: None,
            retry_after_ms: None,
        }
    }

    pub(crate) fn in_room(mut self, room: &str) -> Self {
        self.room = Some(excerpt(room));
        self
    }

    pub(crate) fn for_nonce(mut self, nonce: &str) -> Self {
        self.nonce = Some(excerpt(nonce));
        self
    }

    pub(crate) fn unknown_room(room: &str) -> Self {
        Self::new(
            Code::UnknownRoom,
            format!("there is no room '{}'", excerpt(room)),
        )
        .in_room(room)
    }
}

/// A peer's own words are given back so that it finds its mistake, but not all 64 KiB of them.
pub(crate) fn excerpt(text: &str) -> String {
    const KEPT_CHARS: usize = 64;
    match text.char_indices().nth(KEPT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The codes of [`Problem`], stable for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    BadJson,
    BadRequest,
    BinaryFrame,
    FrameTooLarge,
    BodyTimeout,
    HelloFirst,
    AlreadyHello,
    BadName,
    BadRoomName,
    BadText,
    BadNonce,
    TextTooLong,
    NonceReused,
    UnknownRoom,
    RoomExists,
    NotJoined,
    TooManyRooms,
    TooManyJoined,
    TooManyConnections,
    RateLimited,
    ForeignOrigin,
    UnknownHost,
    NotFound,
    MethodNotAllowed,
    Storage,
    Stopping,
}

impl Code {
    /// The HTTP status that goes with the code.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::BadJson
            | Self::BadRequest
            | Self::BinaryFrame
            | Self::HelloFirst
            | Self::AlreadyHello
            | Self::BadName
            | Self::BadRoomName
            | Self::BadText
            | Self::BadNonce
            | Self::NotJoined => StatusCode::BAD_REQUEST,
            Self::FrameTooLarge | Self::TextTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownRoom | Self::NotFound => StatusCode::NOT_FOUND,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RoomExists | Self::NonceReused => StatusCode::CONFLICT,
            Self::TooManyRooms | Self::TooManyJoined | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::TooManyConnections | Self::Storage | Self::Stopping => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}
