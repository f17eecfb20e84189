//! From an HTTP request to a WebSocket.

use axum::Json;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};

use super::{ErrorBody, Shared};
use crate::protocol::{Code, Problem};
use crate::socket;

pub(super) async fn upgrade(
    State(app): Shared,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let message = format!(
                "this address speaks WebSocket only: {}",
                rejection.body_text()
            );
            let error = Problem::new(Code::BadRequest, message);
            return Ok((rejection.status(), Json(ErrorBody { error })).into_response());
        }
    };
    if !origin_allowed(&headers, &uri, &app.config.allow_origins) {
        let message = "pages of other sites may not connect; see --allow-origin";
        return Err(Problem::new(Code::ForeignOrigin, message));
    }
    if *app.stopping.borrow() {
        return Err(Problem::new(Code::Stopping, "the server is stopping"));
    }
    let Some(seat) = app.hub.seat() else {
        let most = app.config.limits.connections;
        let message = format!("all {most} connections are taken; try again later");
        return Err(Problem::new(Code::TooManyConnections, message));
    };
    let limits = &app.config.limits;
    Ok(upgrade
        .max_frame_size(limits.frame_bytes)
        .max_message_size(limits.frame_bytes)
        // Kept small: these are held by each connection, and most of them are idle.
        .read_buffer_size(4 * 1024)
        .write_buffer_size(16 * 1024)
        .on_upgrade(move |socket| async move {
            let runtime = app.runtime.clone();
            // The task ends by itself; nobody needs its result.
            drop(runtime.spawn(socket::run(socket, app, seat)));
        }))
}

/// A browser says which site a page is of; programs say nothing. Without this check any page on
/// the web could chat from its visitor's browser with a server on the visitor's own machine.
fn origin_allowed(headers: &HeaderMap, uri: &Uri, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    if allowed
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(origin))
    {
        return true;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
    let site = origin.split_once("://").map(|(_, site)| site);
    match (site, host) {
        (Some(site), Some(host)) => site.eq_ignore_ascii_case(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Uri, header};

    use super::origin_allowed;

    #[test]
    fn only_our_own_page_and_those_named_may_connect() {
        let allowed = ["https://chat.example".to_owned()];
        for (origin, expected) in [
            (None, true),
            (Some("http://localhost:7800"), true),
            (Some("http://localhost:7801"), false),
            (Some("https://CHAT.example"), true),
            (Some("https://evil.example"), false),
            (Some("null"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("localhost:7800"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let uri = Uri::from_static("/ws");
            assert_eq!(
                origin_allowed(&headers, &uri, &allowed),
                expected,
                "{origin:?}"
            );
        }
    }
}
