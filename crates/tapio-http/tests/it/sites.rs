//! Reports name the program's line, not one of this crate.

use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::rt::Executor;
use tapio::guard::{Report, on_report};
use tapio::net::{TcpListener, TcpStream};
use tapio_http::rt::{TapioExecutor, TapioIo};

use crate::support::{PATIENCE, on_each_driver};

type Heard = Arc<Mutex<Option<&'static Location<'static>>>>;

/// Blocks until something is heard.
fn wait_for(heard: &Heard) -> &'static Location<'static> {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(at) = *heard.lock().unwrap() {
            return at;
        }
        assert!(Instant::now() < limit, "nothing was heard");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_executors_tasks_are_known_by_the_line_that_made_it() {
    const NAME: &str = "a task of the executor";
    on_each_driver(|driver| {
        let heard = Heard::default();
        let tell = Arc::clone(&heard);
        let _reports = on_report(move |report| {
            if let Report::UnobservedPanic(panic) = report
                && panic.message.as_deref() == Some(NAME)
            {
                tell.lock().unwrap().get_or_insert(panic.task.spawned_at);
            }
        });
        let runtime = driver.runtime();
        let (executor, line) = (TapioExecutor::new(), line!());
        let _entered = runtime.enter();
        executor.execute(async { std::panic::resume_unwind(Box::new(NAME)) });
        let at = wait_for(&heard);
        assert_eq!((at.file(), at.line()), (file!(), line));
    });
}

#[test]
fn connections_and_streams_are_known_by_the_line_that_serves() {
    on_each_driver(|driver| {
        for with_http2 in [false, true] {
            let heard = Heard::default();
            let tell = Arc::clone(&heard);
            let (name, wait) = (format!("sites {with_http2}"), Arc::clone(&heard));
            let wanted = name.clone();
            let _reports = on_report(move |report| {
                if let Report::Stall(stall) = report
                    && stall.runtime.as_deref() == Some(&wanted)
                    && let Some(at) = stall.culprit.location()
                {
                    tell.lock().unwrap().get_or_insert(at);
                }
            });
            let runtime = driver.named(&name);
            // It blocks until that is told.
            let stuck = get(move || std::future::ready(wait_for(&wait).to_string()));
            let app = Router::new().route("/", stuck);
            let line = runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let addr = listener.local_addr().unwrap();
                let (serve, line) = (tapio_http::serve(listener, app), line!());
                let server = tapio::spawn(async { (serve.await,) });
                let stream = TapioIo::new(TcpStream::connect(addr).await.unwrap());
                let request = Request::get("http://test/").header("host", "test");
                let request = request.body(Empty::<Bytes>::new()).unwrap();
                let answer = if with_http2 {
                    let executor = TapioExecutor::new();
                    let handshake = hyper::client::conn::http2::handshake(executor, stream);
                    let (mut sender, connection) = handshake.await.unwrap();
                    drop(tapio::spawn(async { (connection.await,) }));
                    sender.send_request(request).await
                } else {
                    let handshake = hyper::client::conn::http1::handshake(stream);
                    let (mut sender, connection) = handshake.await.unwrap();
                    drop(tapio::spawn(async { (connection.await,) }));
                    sender.send_request(request).await
                };
                assert!(answer.unwrap().status().is_success());
                server.abort();
                line
            });
            let at = wait_for(&heard);
            let ours = (file!(), line);
            assert_eq!((at.file(), at.line()), ours, "HTTP/2: {with_http2}");
        }
    });
}
