//! Runtimes to test, and a little work that shows whether one is sound.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tapio::io::{AsyncReadExt, AsyncWriteExt};
use tapio::net::{TcpListener, TcpStream};
use tapio::runtime::{Builder, DriverKind, Runtime};

pub(crate) const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A way to build a runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) driver: DriverKind,
    /// `None` for `current_thread`.
    pub(crate) workers: Option<usize>,
}

impl Kind {
    /// Both flavours on both drivers; `TAPIO_DRIVER` leaves those of one.
    pub(crate) fn all() -> Vec<Kind> {
        let only = std::env::var("TAPIO_DRIVER").ok();
        [DriverKind::Ring, DriverKind::Poll]
            .into_iter()
            .filter(|driver| only.as_deref().is_none_or(|only| only == driver.name()))
            .flat_map(|driver| [None, Some(2)].map(|workers| Kind { driver, workers }))
            .collect()
    }

    pub(crate) fn builder(self) -> Builder {
        let mut builder = match self.workers {
            None => Builder::new_current_thread(),
            Some(count) => {
                let mut builder = Builder::new_multi_thread();
                builder.worker_threads(count);
                builder
            }
        };
        builder.driver(self.driver).enable_all();
        builder
    }

    pub(crate) fn build(self) -> Runtime {
        let built = self.builder().build();
        built.unwrap_or_else(|error| panic!("{self}: {error}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.workers {
            None => write!(f, "{}, current_thread", self.driver),
            Some(count) => write!(f, "{}, multi_thread({count})", self.driver),
        }
    }
}

/// Echoes over TCP and sleeps, on tasks: what any program needs.
pub(crate) fn assert_works(runtime: &Runtime) {
    runtime.block_on(async {
        let listener = TcpListener::bind(LOCAL).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tapio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.expect("all of it");
            stream.write_all(&bytes).await.expect("and back");
        });
        let mut stream = TcpStream::connect(address).await.expect("a listener");
        stream.write_all(b"hello").await.expect("a connection");
        let begin = Instant::now();
        tapio::time::sleep(Duration::from_millis(3)).await;
        assert!(begin.elapsed() >= Duration::from_millis(3));
        stream.shutdown().await.expect("a connection");
        let mut echo = String::new();
        stream.read_to_string(&mut echo).await.expect("the echo");
        assert_eq!(echo, "hello");
        server.await.expect("the server ends");
    });
}
