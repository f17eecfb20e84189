//! monoio on its io_uring driver: one thread, owned buffers.

use std::{future::Future, io, mem, time::Duration};

use local_sync::mpsc::bounded;
use monoio::{
    IoUringDriver, RuntimeBuilder,
    buf::IoBuf,
    io::{AsyncReadRent, AsyncWriteRentExt, IntoPollIo},
    net::{TcpListener, TcpStream},
    time,
};
use monoio_compat::hyper::MonoioIo;

use super::{Peer, Server, server::failed, yield_once::yield_now};
use crate::{
    contract::{Primitives, Stream},
    workloads::{Cost, Plan, Task, connection, tasks},
};

pub(crate) const PEER: Peer = Peer {
    name: "monoio",
    package: "monoio",
    serve: Some(serve),
    run: Some(run),
    can: &["http"],
    ..Peer::NOBODY
};

macro_rules! runtime {
    () => {
        RuntimeBuilder::<IoUringDriver>::new()
            .enable_timer()
            .build()
            .map_err(failed("building the runtime"))?
    };
}

fn serve(server: &Server) -> Result<(), String> {
    let mut runtime = runtime!();
    runtime.block_on(async { monoio::spawn(accept(server.clone())).await })
}

async fn accept(server: Server) -> Result<(), String> {
    let listener = TcpListener::bind(server.address()).map_err(failed("binding"))?;
    server.ready(listener.local_addr().map_err(failed("local address"))?);
    loop {
        let (stream, _) = listener.accept().await.map_err(failed("accepting"))?;
        stream.set_nodelay(true).map_err(failed("no delay"))?;
        // hyper reads into borrowed buffers; for that, monoio has sockets that
        // work by readiness on its ring.
        connection!(
            server.workload,
            Socket(stream),
            MonoioIo::new(stream.into_poll_io().map_err(failed("into poll io"))?),
            monoio::spawn
        );
    }
}

fn run(task: Task, plan: Plan) -> Result<Cost, String> {
    let mut runtime = runtime!();
    Ok(tasks!(Monoio, task, plan, monoio::spawn, |root| {
        runtime.block_on(async { monoio::spawn(root).await })
    }))
}

struct Socket(TcpStream);

impl Stream for Socket {
    async fn read(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let (result, filled) = self.0.read(mem::take(buf)).await;
        *buf = filled;
        result
    }

    async fn write(&mut self, buf: &mut Vec<u8>, len: usize) -> io::Result<()> {
        let (result, slice) = self.0.write_all(mem::take(buf).slice(..len)).await;
        *buf = slice.into_inner();
        result.map(drop)
    }
}

struct Monoio;

impl Primitives for Monoio {
    type Sender = bounded::Tx<u64>;
    type Receiver = bounded::Rx<u64>;

    /// From the crate of monoio's author for tasks of one thread; monoio itself
    /// has no channel.
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
