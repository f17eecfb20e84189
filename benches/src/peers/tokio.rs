//! tokio: current-thread, and multi-threaded with one and with two workers; with two also in the
//! build whose unstable features are on, with the eager hand-off of its driver.

use std::{future::Future, io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::mpsc,
    task, time,
};

use super::{Peer, Server, server::failed};
use crate::{
    contract::{Primitives, Receiver, Sender, Stream},
    workloads::{Cost, Plan, Task, connection, tasks},
};

pub(crate) const CURRENT_THREAD: Peer = Peer {
    name: "tokio",
    package: "tokio",
    serve: Some(|server| serve(0, server)),
    run: Some(|task, plan| run(0, task, plan)),
    can: &["http"],
    ..Peer::NOBODY
};
pub(crate) const MT1: Peer = Peer {
    name: "tokio-mt1",
    serve: Some(|server| serve(1, server)),
    run: Some(|task, plan| run(1, task, plan)),
    ..CURRENT_THREAD
};
pub(crate) const MT2: Peer = Peer {
    name: "tokio-mt2",
    serve: Some(|server| serve(2, server)),
    run: Some(|task, plan| run(2, task, plan)),
    can: &["http", "stall"],
    ..CURRENT_THREAD
};
#[cfg(tokio_unstable)]
pub(crate) const EAGER: Peer = Peer {
    name: "tokio-eager",
    can: &["stall"],
    ..MT2
};

/// A runtime with so many workers; none means current-thread.
fn runtime(workers: usize) -> Result<Runtime, String> {
    let mut builder = match workers {
        0 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 0 {
        builder.worker_threads(workers);
    }
    // A build with `--cfg tokio_unstable` is made for this peer and no other.
    #[cfg(tokio_unstable)]
    builder.enable_eager_driver_handoff();
    builder
        .enable_all()
        .build()
        .map_err(failed("building the runtime"))
}

fn serve(workers: usize, server: &Server) -> Result<(), String> {
    let runtime = runtime(workers)?;
    let accepting = accept(server.clone());
    // The listener belongs to a task: with workers, the thread of block_on is none.
    runtime.block_on(async { tokio::spawn(accepting).await.map_err(failed("accepting"))? })
}

async fn accept(server: Server) -> Result<(), String> {
    let listener = TcpListener::bind(server.address())
        .await
        .map_err(failed("binding"))?;
    server.ready(listener.local_addr().map_err(failed("local address"))?);
    loop {
        let (stream, _) = listener.accept().await.map_err(failed("accepting"))?;
        stream.set_nodelay(true).map_err(failed("no delay"))?;
        connection!(
            server.workload,
            Socket(stream),
            hyper_util::rt::TokioIo::new(stream),
            tokio::spawn
        );
    }
}

fn run(workers: usize, task: Task, plan: Plan) -> Result<Cost, String> {
    let runtime = runtime(workers)?;
    Ok(tasks!(Tokio, task, plan, spawn, |root| runtime
        .block_on(async { spawn(root).await })))
}

async fn joined<T>(handle: task::JoinHandle<T>) -> T {
    handle.await.expect("the tasks of a workload do not panic")
}

fn spawn<F>(future: F) -> impl Future<Output = F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    joined(tokio::spawn(future))
}

/// A socket as the echo workloads use it.
struct Socket(TcpStream);

impl Stream for Socket {
    async fn read(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.0.read(buf).await
    }

    async fn write(&mut self, buf: &mut Vec<u8>, len: usize) -> io::Result<()> {
        self.0.write_all(&buf[..len]).await
    }
}

/// tokio's pieces for work inside one process.
struct Tokio;

impl Primitives for Tokio {
    type Sender = Near;
    type Receiver = Far;

    fn channel() -> (Self::Sender, Self::Receiver) {
        let (near, far) = mpsc::channel(1);
        (Near(near), Far(far))
    }

    fn yield_now() -> impl Future<Output = ()> {
        task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        time::sleep(duration)
    }
}

struct Near(mpsc::Sender<u64>);
struct Far(mpsc::Receiver<u64>);

impl Sender for Near {
    async fn send(&mut self, value: u64) {
        // The receiver outlives the exchange; if it did not, the workload would
        // notice that nothing comes back.
        let _ = self.0.send(value).await;
    }
}

impl Receiver for Far {
    async fn recv(&mut self) -> Option<u64> {
        self.0.recv().await
    }
}
