//! Serves axum, tower and hyper on the [`tapio`] runtime.
//!
//! [`serve()`] is shaped like `axum::serve` and does more: it times out clients
//! that dawdle, limits connections, and stops gracefully by a deadline with a
//! report of what was still open.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use axum::{Router, routing::get};
//!
//! # async fn run(ctrl_c: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
//! let app = Router::new().route("/", get(|| async { "hello" }));
//! let listener = tapio::net::TcpListener::bind("127.0.0.1:8080").await?;
//!
//! let report = tapio_http::serve(listener, app)
//!     .max_connections(10_000)
//!     .with_graceful_shutdown(ctrl_c)
//!     .drain_timeout(Duration::from_secs(5))
//!     .await?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! hyper, axum and tower are used as they are published. This crate compiles
//! nothing of tokio's runtime; tokio's I/O traits, which `tapio` shares, are all
//! that it needs of it.
//!
//! # What is served, over what
//!
//! - an `axum::Router`, and any other `tower` service of requests;
//! - `Router::into_make_service_with_connect_info::<SocketAddr>()`, and any other
//!   `tower` service that makes services from the peer's address: axum's
//!   `ConnectInfo<SocketAddr>` extractor works with it;
//! - any service of hyper's own trait, such as a `service_fn`;
//!
//! over a [`tapio::net::TcpListener`], a [`tapio::net::UnixListener`] or anything
//! else that implements [`Listener`], in HTTP/1.1 and HTTP/2, with upgrades.
//!
//! # WebSocket
//!
//! axum's `ws` starts the task of an upgraded connection with `tokio::spawn`, so
//! it needs the context of a tokio runtime: turn on the feature `compat` of
//! `tapio`, which keeps one on a thread of its own. The handler runs on that
//! thread; what it has much to do with it hands to [`tapio::spawn`]. Whoever uses
//! `hyper::upgrade::on` needs none of this.
//!
//! # Clients
//!
//! [`rt`] has what hyper's clients need: an executor, a timer and the adapter
//! for streams; `examples/client.rs` shows both protocols. The pooling client of
//! hyper-util (`client::legacy`) is not wrapped: its feature turns on tokio's
//! `net`, a second reactor. Those who accept that can implement its `Connect`
//! with a `tower` service that returns a [`rt::TapioIo`].
//!
//! # Clients that take their time
//!
//! A connection costs memory and a descriptor, and a place where connections are
//! limited. So each wait for a client has an end, unless it is turned off:
//!
//! | the client | setting | by default |
//! |---|---|---|
//! | sends no head, or a part of one | [`Serve::header_read_timeout`] | 30 s |
//! | sends no body, or trickles it | [`Serve::body_timeout`], [`Serve::min_rate`] | 30 s, 256 bytes a second |
//! | does not read its response, or trickles | [`Serve::write_timeout`], [`Serve::min_rate`] | 30 s, 256 bytes a second |
//! | asks for nothing | [`Serve::idle_timeout`] | 75 s |
//!
//! What the service itself takes is not limited, and neither is a connection that
//! was upgraded: both are the program's own matter.
//!
//! # What it does not do
//!
//! TLS is not there yet.

pub mod rt;
pub mod serve;

#[doc(inline)]
pub use serve::{
    Activity, Body, Counts, LastRequest, Listener, ListenerExt, Monitor, OpenConnection, Peer,
    Protocol, Report, Serve, Serving, serve,
};
