//! The floor for sockets on readiness: one thread, `epoll_wait`, `recv`, `send`.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
};

use super::{Peer, Server, server::failed};
use crate::workloads::Connection;

pub(crate) const PEER: Peer = Peer {
    name: "floor-epoll",
    package: "rustix",
    serve: Some(serve),
    run: None,
    can: &["http", "share-buffer"],
    ..Peer::NOBODY
};

const EVENTS: usize = 256;
const LISTENER: u64 = u64::MAX;
/// As long as hyper's answer, with a date that nobody keeps.
pub(crate) const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\
    date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nHello, World!";

fn serve(server: &Server) -> Result<(), String> {
    let listener = TcpListener::bind(server.address()).map_err(failed("binding"))?;
    listener
        .set_nonblocking(true)
        .map_err(failed("nonblocking"))?;
    let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(failed("epoll_create1"))?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )
    .map_err(failed("epoll_ctl"))?;
    server.ready(listener.local_addr().map_err(failed("local address"))?);

    // One buffer for all: that is what a floor may do and a runtime may not.
    let bytes = if let Connection::Echo { bytes } = server.workload {
        bytes
    } else {
        4096
    };
    let mut buf = vec![0; bytes];
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), None).map_err(failed("epoll_wait"))?;
        for event in &events {
            let key = event.data.u64();
            if key == LISTENER {
                accept(&listener, &epoll, &mut streams).map_err(failed("accepting"))?;
                continue;
            }
            let place = &mut streams[key as usize];
            let Some(stream) = place else { continue };
            if !answer(stream, server.workload, &mut buf) {
                *place = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    epoll: impl AsFd,
    streams: &mut Vec<Option<TcpStream>>,
) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let key = streams
        .iter()
        .position(Option::is_none)
        .unwrap_or(streams.len());
    epoll::add(
        epoll,
        &stream,
        EventData::new_u64(key as u64),
        EventFlags::IN,
    )?;
    match streams.get_mut(key) {
        Some(place) => *place = Some(stream),
        None => streams.push(Some(stream)),
    }
    Ok(())
}

/// Serves one readiness; false when the connection is over.
fn answer(stream: &mut TcpStream, workload: Connection, buf: &mut [u8]) -> bool {
    let len = match stream.read(buf) {
        Ok(0) => return false,
        Ok(len) => len,
        Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
    };
    let answer = match workload {
        Connection::Http => HELLO,
        Connection::Echo { .. } | Connection::Stall => &buf[..len],
    };
    write_all(stream, answer).is_ok()
}

/// Writes all, waiting in place when the socket is full: with one request under
/// way for each connection, it is full only for a moment.
fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(stream, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
