//! Calls on other threads that begin in the middle of a poll: lookups, and the
//! standard streams. Reports name the line of the program that asked, or that
//! made the stream.

#![expect(unsafe_code, reason = "it stands in for the system's resolver")]

use std::ffi::{c_char, c_int, c_void};
use std::io::Read;
use std::net::UdpSocket as StdUdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::io::dup;
use rustix::pipe::pipe;
use tapio::guard::{Report, on_report};
use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use tapio::runtime::Runtime;

use crate::child::in_child;
use crate::rig::Kind;

/// How many lookups have begun.
static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// The system's resolver, for this program: it never answers. The other tests
/// here look nothing up.
// SAFETY: the name and the signature are those of the C library's function,
// which this replaces for the standard library's calls; nothing is written
// through its arguments.
#[unsafe(no_mangle)]
extern "C" fn getaddrinfo(
    _: *const c_char,
    _: *const c_char,
    _: *const c_void,
    _: *mut *mut c_void,
) -> c_int {
    LOOKUPS.fetch_add(1, Ordering::Relaxed);
    loop {
        thread::park();
    }
}

/// Ends the runtime in the middle of its calls on other threads; the lines of
/// this file that they are said to come from, sorted.
fn lines_of_calls(runtime: Runtime) -> Vec<u32> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let _reports = on_report(move |report| {
        if let Report::Shutdown(waits) = report {
            for (at, count) in &waits.blocking_calls {
                let is_here = at.file() == file!() && *count == 1;
                // A listener that panics is not heard.
                heard
                    .lock()
                    .unwrap()
                    .push(if is_here { at.line() } else { 0 });
            }
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(1));
    let mut lines = std::mem::take(&mut *told.lock().unwrap());
    lines.sort_unstable();
    lines
}

/// More than a pipe holds.
static MUCH: [u8; 1 << 20] = [b'x'; 1 << 20];

const NAME: (&str, u16) = ("nobody.test", 1);

#[test]
fn a_lookup_is_known_by_the_line_that_asked() {
    in_child("sites::a_lookup_is_known_by_the_line_that_asked", || {
        for kind in Kind::all() {
            let runtime = kind.build();
            let before = LOOKUPS.load(Ordering::Relaxed);
            let socket = StdUdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            let mut lines = Vec::new();
            let begin = async {
                let socket = Arc::new(UdpSocket::from_std(socket).unwrap());
                let same = Arc::clone(&socket);
                lines.extend(line!() + 1..line!() + 7);
                let a = async { lookup_host(NAME).await.map(drop) };
                let b = async { TcpStream::connect(NAME).await.map(drop) };
                let c = async { TcpListener::bind(NAME).await.map(drop) };
                let d = async { UdpSocket::bind(NAME).await.map(drop) };
                let e = async move { same.connect(NAME).await };
                let f = async move { socket.send_to(b"x", NAME).await.map(drop) };
                let all = async { tapio::join!(a, b, c, d, e, f) };
                let _task = tapio::spawn(async { drop(all.await) });
                while LOOKUPS.load(Ordering::Relaxed) < before + 6 {
                    tapio::task::yield_now().await;
                }
            };
            runtime.block_on(begin);
            assert_eq!(lines_of_calls(runtime), lines, "{kind}");
        }
    });
}

#[test]
fn a_standard_stream_is_known_by_the_line_that_made_it() {
    in_child(
        "sites::a_standard_stream_is_known_by_the_line_that_made_it",
        || {
            // One pipe from which nothing comes, and one that is full.
            let (silent, _says_nothing) = pipe().unwrap();
            let (unread, full) = pipe().unwrap();
            let stderr = dup(rustix::stdio::stderr()).unwrap();
            rustix::stdio::dup2_stdin(&silent).unwrap();
            rustix::stdio::dup2_stderr(&full).unwrap();
            let runtime = Kind::all()[0].build();
            let metrics = runtime.metrics();
            let mut lines = Vec::new();
            let begin = async {
                lines.extend([line!() + 1, line!() + 2]);
                let mut stdin = tapio::io::stdin();
                let mut stderr = tapio::io::stderr();
                tapio::spawn(async move { stdin.read(&mut [0; 1]).await.is_ok() });
                tapio::spawn(async move { stderr.write_all(&MUCH[..]).await.is_ok() });
                while metrics.num_blocking_threads() < 2 || metrics.blocking_queue_depth() > 0 {
                    tapio::task::yield_now().await;
                }
            };
            runtime.block_on(begin);
            let told = lines_of_calls(runtime);
            // Before anybody else wants to write there.
            let mut all = vec![0; MUCH.len()];
            std::fs::File::from(unread).read_exact(&mut all).unwrap();
            rustix::stdio::dup2_stderr(&stderr).unwrap();
            assert_eq!(told, lines);
        },
    );
}
