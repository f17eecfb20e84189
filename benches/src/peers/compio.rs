//! compio on its io_uring driver: one thread, owned buffers.

use std::{future::Future, io, mem, time::Duration};

use compio::{
    BufResult,
    buf::{IntoInner, IoBuf},
    io::{AsyncRead, AsyncWriteExt, compat::AsyncStream},
    net::{TcpListener, TcpStream},
    runtime::{self, JoinHandle, Runtime},
    time,
};
use local_sync::mpsc::bounded;
use smol_hyper::rt::FuturesIo;

use super::{Peer, Server, server::failed, yield_once::yield_now};
use crate::{
    contract::{Primitives, Stream},
    workloads::{Cost, Plan, Task, connection, tasks},
};

pub(crate) const PEER: Peer = Peer {
    name: "compio",
    package: "compio",
    serve: Some(serve),
    run: Some(run),
    can: &["http"],
    ..Peer::NOBODY
};

fn serve(server: &Server) -> Result<(), String> {
    let runtime = Runtime::new().map_err(failed("building the runtime"))?;
    runtime.block_on(async { spawn(accept(server.clone())).await })
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
            FuturesIo::new(Box::pin(AsyncStream::new(stream))),
            |future| runtime::spawn(future).detach()
        );
    }
}

fn run(task: Task, plan: Plan) -> Result<Cost, String> {
    let runtime = Runtime::new().map_err(failed("building the runtime"))?;
    // Not as a task, unlike the others: a task that spawns and waits costs compio
    // an eventfd write and two io_uring_enter each time, a hundred times as much.
    Ok(tasks!(Compio, task, plan, spawn, |root| runtime.block_on(root)))
}

async fn joined<T>(handle: JoinHandle<T>) -> T {
    handle
        .await
        .unwrap_or_else(|_| panic!("the tasks of a workload do not panic"))
}

fn spawn<F: Future + 'static>(future: F) -> impl Future<Output = F::Output> {
    joined(runtime::spawn(future))
}

struct Socket(TcpStream);

impl Stream for Socket {
    async fn read(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let BufResult(result, filled) = self.0.read(mem::take(buf)).await;
        *buf = filled;
        result
    }

    async fn write(&mut self, buf: &mut Vec<u8>, len: usize) -> io::Result<()> {
        let BufResult(result, slice) = self.0.write_all(mem::take(buf).slice(..len)).await;
        *buf = slice.into_inner();
        result
    }
}

struct Compio;

impl Primitives for Compio {
    type Sender = bounded::Tx<u64>;
    type Receiver = bounded::Rx<u64>;

    /// compio has no channel; this one is for tasks of one thread.
    fn channel() -> (Self::Sender, Self::Receiver) {
        bounded::channel(1)
    }

    fn yield_now() -> impl Future<Output = ()> {
        yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        time::sleep(duration)
    }
}
