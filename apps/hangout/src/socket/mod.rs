//! One WebSocket connection, from its `hello` to its goodbye, as one task.
//!
//! * [`session`] is the conversation: what each request does.
//! * [`wire`] reads and writes frames, and never waits for a peer in a way that a stop or the
//!   verdict "too slow" could not interrupt.

mod session;
mod wire;

use std::time::Instant;

use axum::extract::ws::{WebSocket, close_code};

use crate::app::App;
use crate::hub::{Outgoing, Seat};
use crate::protocol::{Code, Event, Problem, Request};
use crate::rate::Bucket;
use crate::socket::session::Session;
use crate::socket::wire::{Incoming, Wire};
use crate::text;

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The peer is gone; nothing can be told to it.
    Gone,
    /// The peer has said goodbye and expects the same.
    Closed,
    /// What the peer sends cannot be read any further.
    Broken(u16, Problem),
    /// We end it, with this code and reason.
    Close(u16, String),
    /// Its queue has overflowed.
    TooSlow,
    /// The server is to stop.
    Stopping,
}

/// Serves a connection until it ends; the seat is given back then.
///
/// # Cancel safety
///
/// Dropped early, the connection is closed without a goodbye, and the hub is left in order.
pub(crate) async fn run(socket: WebSocket, app: App, seat: Seat) {
    let limits = &app.config.limits;
    let bucket = Bucket::new(limits.rate, limits.burst, Instant::now());
    let mut wire = Wire::new(socket, app.stopping.clone(), limits.write());
    let Some((name, bucket)) = greet(&app, &mut wire, bucket).await else {
        return;
    };
    Session::new(&app, wire, &name, bucket).run().await;
    drop(seat);
}

/// Waits for a valid `hello`. A connection that never says it is told why it is closed.
async fn greet(app: &App, wire: &mut Wire, mut bucket: Bucket) -> Option<(String, Bucket)> {
    let limits = &app.config.limits;
    let hello = async {
        loop {
            let problem = match wire.read().await? {
                Incoming::Request(Request::Hello { name }) => {
                    match text::person_name(&name, limits) {
                        Ok(name) => return Ok::<_, End>(name),
                        Err(problem) => problem,
                    }
                }
                Incoming::Request(_) => Problem::new(
                    Code::HelloFirst,
                    r#"say who you are first: {"type":"hello","name":"..."}"#,
                ),
                Incoming::Problem(problem) => problem,
                Incoming::Control => continue,
            };
            if bucket.take(Instant::now()).is_err() {
                return Err(End::Close(close_code::POLICY, "too many frames".to_owned()));
            }
            wire.write(Event::Error(&problem).to_json().into()).await?;
            wire.flush().await?;
        }
    };
    let end = match tapio::time::timeout(limits.hello(), hello).await {
        Ok(Ok(name)) => return Some((name, bucket)),
        Ok(Err(end)) => end,
        Err(_) => {
            let reason = format!("no hello within {} s", limits.hello_secs);
            End::Close(close_code::POLICY, reason)
        }
    };
    wire.goodbye(end, limits).await;
    None
}

/// What one frame of the queue needs of the session.
fn text_of(outgoing: Outgoing) -> axum::extract::ws::Utf8Bytes {
    match outgoing {
        Outgoing::Event(text) | Outgoing::Answer(text) | Outgoing::Message { text, .. } => text,
    }
}
