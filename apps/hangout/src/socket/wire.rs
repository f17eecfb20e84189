//! Frames in and out of one connection.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::SinkExt as _;
use tapio::sync::{oneshot, watch};
use tungstenite::error::ProtocolError;

use super::End;
use crate::config::Limits;
use crate::hub::TooSlow;
use crate::protocol::{Code, Event, Problem, Request};

/// A socket together with the two things that may cut its waiting short.
#[derive(Debug)]
pub(super) struct Wire {
    socket: WebSocket,
    stopping: watch::Receiver<bool>,
    /// Absent before the `hello`, when nothing can overflow yet.
    too_slow: Option<oneshot::Receiver<TooSlow>>,
    /// Frames that wait for room in the socket: at most one, unless writing was cut short. They
    /// stay here when it is, so that the peer never gets a later frame without an earlier one.
    owed: VecDeque<Utf8Bytes>,
    /// How long a peer may take nothing.
    limit: Duration,
}

/// What a frame from the peer comes to.
#[derive(Debug)]
pub(super) enum Incoming {
    Request(Request),
    /// A frame that makes no sense, and what is wrong with it.
    Problem(Problem),
    /// A ping or pong. tungstenite answers pings by itself.
    Control,
}

/// How long a goodbye may take, at a peer that does not read.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

impl Wire {
    pub(super) fn new(socket: WebSocket, stopping: watch::Receiver<bool>, limit: Duration) -> Self {
        Self {
            socket,
            stopping,
            too_slow: None,
            owed: VecDeque::new(),
            limit,
        }
    }

    pub(super) fn watch_queue(&mut self, too_slow: oneshot::Receiver<TooSlow>) {
        self.too_slow = Some(too_slow);
    }

    /// Reads the next frame.
    ///
    /// # Errors
    ///
    /// The reason to end, if there is one.
    ///
    /// # Cancel safety
    ///
    /// No frame is lost: what has arrived in part stays in the socket.
    pub(super) async fn read(&mut self) -> Result<Incoming, End> {
        let message = tapio::select! {
            end = interrupted(&mut self.too_slow, &mut self.stopping) => return Err(end),
            message = self.socket.recv() => message,
        };
        match message {
            Some(Ok(Message::Text(text))) => Ok(parse(&text)),
            Some(Ok(Message::Binary(bytes))) => Ok(Incoming::Problem(Problem::new(
                Code::BinaryFrame,
                format!(
                    "frames are JSON in text; this one was {} bytes of binary",
                    bytes.len()
                ),
            ))),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Incoming::Control),
            Some(Ok(Message::Close(_))) => Err(End::Closed),
            Some(Err(error)) => Err(broken(error)),
            None => Err(End::Gone),
        }
    }

    /// Queues one frame, writing out if much has gathered.
    ///
    /// # Errors
    ///
    /// The reason to end, if there is one. The frame is kept, and goes before the goodbye.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the frame is kept, and goes before the next.
    pub(super) async fn write(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.owed.push_back(text);
        tapio::select! {
            end = interrupted(&mut self.too_slow, &mut self.stopping) => Err(end),
            fed = within(self.limit, feed(&mut self.socket, &mut self.owed)) => fed,
        }
    }

    /// Writes out all that is queued.
    ///
    /// # Errors
    ///
    /// The reason to end, if there is one.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the rest stays queued.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        tapio::select! {
            end = interrupted(&mut self.too_slow, &mut self.stopping) => Err(end),
            flushed = within(self.limit, self.socket.flush()) => flushed,
        }
    }

    pub(super) async fn ping(&mut self) -> Result<(), End> {
        let ping = Message::Ping(Vec::new().into());
        tapio::select! {
            end = interrupted(&mut self.too_slow, &mut self.stopping) => Err(end),
            sent = within(self.limit, self.socket.send(ping)) => sent,
        }
    }

    /// Waits for one of the two reasons to end that come from outside.
    pub(super) async fn interrupted(&mut self) -> End {
        interrupted(&mut self.too_slow, &mut self.stopping).await
    }

    /// Queues and writes without heed to a stop: for what is owed to the peer even then.
    ///
    /// # Cancel safety
    ///
    /// As [`write`](Self::write).
    pub(super) async fn write_last(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.owed.push_back(text);
        self.write_owed().await
    }

    /// Writes, without heed to a stop, what an interruption has left.
    ///
    /// # Cancel safety
    ///
    /// What is not yet queued is kept.
    pub(super) async fn write_owed(&mut self) -> Result<(), End> {
        let owed = async {
            feed(&mut self.socket, &mut self.owed).await?;
            self.socket.flush().await
        };
        owed.await.map_err(|_| End::Gone)
    }

    /// Tells the peer why this ends, if it can be told, and waits a little for its goodbye.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the peer may see the connection end without a reason.
    pub(super) async fn goodbye(&mut self, end: End, limits: &Limits) {
        let (code, reason, problem) = match end {
            End::Gone => return,
            End::Closed => {
                // Reading on to the end is what sends the reply to a close.
                let replied = async { while let Some(Ok(_)) = self.socket.recv().await {} };
                let _ = tapio::time::timeout(GOODBYE_MAX, replied).await;
                return;
            }
            End::Broken(code, problem) => (code, close_reason(&problem.message), Some(problem)),
            End::Close(code, reason) => (code, reason, None),
            End::TooSlow => {
                let waiting = limits.queue;
                let reason =
                    format!("too slow: {waiting} events were waiting to be read; reconnect");
                (close_code::AGAIN, reason, None)
            }
            End::Stopping => (
                close_code::AWAY,
                "the server is stopping; reconnect later".to_owned(),
                None,
            ),
        };
        let farewell = async {
            feed(&mut self.socket, &mut self.owed).await?;
            if let Some(problem) = problem {
                let text = Event::Error(&problem).to_json().into();
                self.socket.feed(Message::Text(text)).await?;
            }
            let frame = CloseFrame {
                code,
                reason: reason.into(),
            };
            self.socket.send(Message::Close(Some(frame))).await?;
            while let Some(Ok(_)) = self.socket.recv().await {}
            Ok::<(), axum::Error>(())
        };
        // Whether it heard us or not, this is the end.
        let _ = tapio::time::timeout(GOODBYE_MAX, farewell).await;
    }
}

/// Queues all that is owed. A frame leaves `owed` only when the socket has room for it.
async fn feed(socket: &mut WebSocket, owed: &mut VecDeque<Utf8Bytes>) -> Result<(), axum::Error> {
    while !owed.is_empty() {
        poll_fn(|cx| socket.poll_ready_unpin(cx)).await?;
        if let Some(text) = owed.pop_front() {
            socket.start_send_unpin(Message::Text(text))?;
        }
    }
    Ok(())
}

/// Does `work`, unless the peer keeps it waiting for too long. The clock is read only if it has
/// to wait at all.
async fn within(
    limit: Duration,
    work: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), End> {
    let mut work = pin!(work);
    let first = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
    let done = match first {
        Poll::Ready(done) => done,
        Poll::Pending => tapio::time::timeout(limit, work).await.map_err(|_| {
            let seconds = limit.as_secs();
            let reason = format!("nothing was read for {seconds} s; reconnect");
            End::Close(close_code::AGAIN, reason)
        })?,
    };
    done.map_err(|_| End::Gone)
}

/// What to make of a connection that cannot be read any more. The peer can still be told: only its
/// own side of the connection is beyond repair.
fn broken(error: axum::Error) -> End {
    let Ok(error) = error.into_inner().downcast::<tungstenite::Error>() else {
        return End::Gone;
    };
    let (code, problem) = match *error {
        tungstenite::Error::Capacity(error) => {
            let message = format!("this frame is too large: {error}");
            (close_code::SIZE, Problem::new(Code::FrameTooLarge, message))
        }
        tungstenite::Error::Utf8(error) => {
            let message = format!("a text frame must be UTF-8: {error}");
            (close_code::INVALID, Problem::new(Code::BadJson, message))
        }
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            return End::Gone;
        }
        tungstenite::Error::Protocol(error) => {
            let message = format!("this is not WebSocket: {error}");
            (
                close_code::PROTOCOL,
                Problem::new(Code::BadRequest, message),
            )
        }
        _ => return End::Gone,
    };
    End::Broken(code, problem)
}

/// Resolves when the connection is to end for a reason of ours.
async fn interrupted(
    too_slow: &mut Option<oneshot::Receiver<TooSlow>>,
    stopping: &mut watch::Receiver<bool>,
) -> End {
    let overflow = async {
        match too_slow {
            // The sender goes without a word only together with the hub.
            Some(told) => drop(told.await),
            None => std::future::pending().await,
        }
    };
    tapio::select! {
        () = overflow => End::TooSlow,
        // An error means that whoever could say "stop" is gone, which is a stop too.
        _ = stopping.wait_for(|stop| *stop) => End::Stopping,
    }
}

fn parse(text: &str) -> Incoming {
    let problem = match serde_json::from_str(text) {
        Ok(request) => return Incoming::Request(request),
        Err(error) if error.is_data() && !text.trim_start().starts_with('{') => Problem::new(
            Code::BadRequest,
            r#"a request is a JSON object, such as {"type":"ping"}"#,
        ),
        Err(error) if error.is_data() => {
            Problem::new(Code::BadRequest, format!("not a request: {error}"))
        }
        Err(error) => Problem::new(Code::BadJson, format!("not JSON: {error}")),
    };
    Incoming::Problem(problem)
}

/// A close frame has room for 123 bytes.
fn close_reason(reason: &str) -> String {
    const MOST_BYTES: usize = 123;
    reason[..reason.floor_char_boundary(MOST_BYTES)].to_owned()
}
