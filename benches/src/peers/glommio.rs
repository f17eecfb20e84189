//! glommio: one executor on the calling thread, unbound to a core of its own
//! choice (the process is bound already).

use std::{future::Future, io, time::Duration};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::{
    LocalExecutor, LocalExecutorBuilder, Placement,
    channels::local_channel::{LocalReceiver, LocalSender, new_bounded},
    net::{TcpListener, TcpStream},
    spawn_local,
    timer::sleep,
};
use smol_hyper::rt::FuturesIo;

use super::{Peer, Server, server::failed};
use crate::{
    contract::{Primitives, Receiver, Sender, Stream},
    workloads::{Cost, Plan, Task, connection, tasks},
};

pub(crate) const PEER: Peer = Peer {
    name: "glommio",
    package: "glommio",
    serve: Some(serve),
    run: Some(run),
    can: &["http"],
    ..Peer::NOBODY
};

fn executor() -> Result<LocalExecutor, String> {
    LocalExecutorBuilder::new(Placement::Unbound)
        .make()
        .map_err(failed("building the executor"))
}

fn serve(server: &Server) -> Result<(), String> {
    executor()?.run(async { spawn_local(accept(server.clone())).await })
}

async fn accept(server: Server) -> Result<(), String> {
    let listener = TcpListener::bind(server.address()).map_err(failed("binding"))?;
    server.ready(listener.local_addr().map_err(failed("local address"))?);
    loop {
        let stream = listener.accept().await.map_err(failed("accepting"))?;
        stream.set_nodelay(true).map_err(failed("no delay"))?;
        connection!(
            server.workload,
            Socket(stream),
            FuturesIo::new(stream),
            |future| {
                drop(spawn_local(future).detach());
            }
        );
    }
}

fn run(task: Task, plan: Plan) -> Result<Cost, String> {
    let executor = executor()?;
    Ok(tasks!(Glommio, task, plan, spawn_local, |root| {
        executor.run(async { spawn_local(root).await })
    }))
}

struct Socket(TcpStream);

impl Stream for Socket {
    async fn read(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.0.read(buf).await
    }

    async fn write(&mut self, buf: &mut Vec<u8>, len: usize) -> io::Result<()> {
        self.0.write_all(&buf[..len]).await
    }
}

struct Glommio;

impl Primitives for Glommio {
    type Sender = LocalSender<u64>;
    type Receiver = LocalReceiver<u64>;

    fn channel() -> (Self::Sender, Self::Receiver) {
        new_bounded(1)
    }

    async fn yield_now() {
        glommio::executor().yield_now().await;
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        sleep(duration)
    }
}

impl Sender for LocalSender<u64> {
    async fn send(&mut self, value: u64) {
        // The receiver outlives the exchange.
        let _ = LocalSender::send(self, value).await;
    }
}

impl Receiver for LocalReceiver<u64> {
    async fn recv(&mut self) -> Option<u64> {
        LocalReceiver::recv(self).await
    }
}
