//! smol: a local executor on one thread, and a shared one on two.

use std::{
    future::{Future, pending},
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::LazyLock,
    thread,
    time::Duration,
};

use smol::{
    Async, Executor, LocalExecutor, Timer, block_on, channel,
    future::yield_now,
    io::{AsyncReadExt, AsyncWriteExt},
};
use smol_hyper::rt::FuturesIo;

use super::{Peer, Server, server::failed};
use crate::{
    contract::{Primitives, Receiver, Sender, Stream},
    workloads::{Cost, Plan, Task, connection, tasks},
};

pub(crate) const PEER: Peer = Peer {
    name: "smol",
    package: "smol",
    serve: Some(|server| {
        let executor = local();
        let spawn = |future| executor.spawn(future);
        block_on(executor.run(async { spawn(accept_local(server.clone(), executor)).await }))
    }),
    run: Some(run_local),
    can: &["http"],
    ..Peer::NOBODY
};
pub(crate) const MT2: Peer = Peer {
    name: "smol-mt2",
    serve: Some(|server| {
        start_threads()?;
        block_on(SHARED.spawn(accept_shared(server.clone())))
    }),
    run: Some(run_shared),
    can: &["http", "stall"],
    ..PEER
};

static SHARED: LazyLock<Executor<'static>> = LazyLock::new(Executor::new);

/// What `smol::spawn` does when it is told to use two threads; that number comes
/// from the environment, which a peer does not change.
fn start_threads() -> Result<(), String> {
    for _ in 0..2 {
        let work = || block_on(SHARED.run(pending::<()>()));
        thread::Builder::new()
            .spawn(work)
            .map_err(failed("starting a thread"))?;
    }
    Ok(())
}

/// An executor that its own tasks can name.
fn local() -> &'static LocalExecutor<'static> {
    Box::leak(Box::new(LocalExecutor::new()))
}

async fn bind(server: &Server) -> Result<Async<TcpListener>, String> {
    let listener = Async::<TcpListener>::bind(server.address()).map_err(failed("binding"))?;
    server.ready(
        listener
            .get_ref()
            .local_addr()
            .map_err(failed("local address"))?,
    );
    Ok(listener)
}

fn prepare(
    accepted: io::Result<(Async<TcpStream>, SocketAddr)>,
) -> Result<Async<TcpStream>, String> {
    let (stream, _) = accepted.map_err(failed("accepting"))?;
    stream
        .get_ref()
        .set_nodelay(true)
        .map_err(failed("no delay"))?;
    Ok(stream)
}

async fn accept_local(
    server: Server,
    executor: &'static LocalExecutor<'static>,
) -> Result<(), String> {
    let listener = bind(&server).await?;
    loop {
        let stream = prepare(listener.accept().await)?;
        connection!(
            server.workload,
            Socket(stream),
            FuturesIo::new(stream),
            |future| {
                executor.spawn(future).detach();
            }
        );
    }
}

async fn accept_shared(server: Server) -> Result<(), String> {
    let listener = bind(&server).await?;
    loop {
        let stream = prepare(listener.accept().await)?;
        connection!(
            server.workload,
            Socket(stream),
            FuturesIo::new(stream),
            |future| {
                SHARED.spawn(future).detach();
            }
        );
    }
}

fn run_local(task: Task, plan: Plan) -> Result<Cost, String> {
    let executor = local();
    Ok(tasks!(
        Smol,
        task,
        plan,
        |future| executor.spawn(future),
        |root| { block_on(executor.run(executor.spawn(root))) }
    ))
}

fn run_shared(task: Task, plan: Plan) -> Result<Cost, String> {
    start_threads()?;
    Ok(tasks!(
        Smol,
        task,
        plan,
        |future| SHARED.spawn(future),
        |root| { block_on(SHARED.spawn(root)) }
    ))
}

struct Socket(Async<TcpStream>);

impl Stream for Socket {
    async fn read(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.0.read(buf).await
    }

    async fn write(&mut self, buf: &mut Vec<u8>, len: usize) -> io::Result<()> {
        self.0.write_all(&buf[..len]).await
    }
}

struct Smol;

impl Primitives for Smol {
    type Sender = channel::Sender<u64>;
    type Receiver = channel::Receiver<u64>;

    fn channel() -> (Self::Sender, Self::Receiver) {
        channel::bounded(1)
    }

    fn yield_now() -> impl Future<Output = ()> {
        yield_now()
    }

    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }
}

impl Sender for channel::Sender<u64> {
    async fn send(&mut self, value: u64) {
        // The receiver outlives the exchange.
        let _ = channel::Sender::send(self, value).await;
    }
}

impl Receiver for channel::Receiver<u64> {
    async fn recv(&mut self) -> Option<u64> {
        channel::Receiver::recv(self).await.ok()
    }
}
