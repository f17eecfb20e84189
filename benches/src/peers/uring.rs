//! The floor for sockets on io_uring: one ring, one `io_uring_enter` for all that
//! is ready.
#![expect(unsafe_code, reason = "submissions hold raw pointers to buffers")]

use std::{
    io::{Error, ErrorKind},
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use io_uring::{IoUring, cqueue, opcode, squeue, types::Fd};

use super::{Peer, Server, epoll::HELLO, server::failed};
use crate::workloads::Connection;

pub(crate) const PEER: Peer = Peer {
    name: "floor-uring",
    package: "io-uring",
    serve: Some(serve),
    run: None,
    can: &["http"],
    ..Peer::NOBODY
};

const ENTRIES: u32 = 1024;
const ACCEPT: u64 = u64::MAX;

/// One connection: exactly one operation of it is with the kernel at any time.
struct Client {
    socket: TcpStream,
    buf: Vec<u8>,
    /// What of the answer is still to be sent; nothing means that a receive is
    /// under way.
    unsent: std::ops::Range<usize>,
}

fn serve(server: &Server) -> Result<(), String> {
    let listener = TcpListener::bind(server.address()).map_err(failed("binding"))?;
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(ENTRIES * 4);
    let mut ring = builder.build(ENTRIES).map_err(failed("io_uring_setup"))?;
    server.ready(listener.local_addr().map_err(failed("local address"))?);

    let mut clients: Vec<Option<Box<Client>>> = Vec::new();
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd()))
        .build()
        .user_data(ACCEPT);
    push(&mut ring, &accept)?;
    let mut completions: Vec<cqueue::Entry> = Vec::new();
    loop {
        if let Err(error) = ring.submit_and_wait(1)
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(format!("io_uring_enter: {error}"));
        }
        completions.extend(ring.completion());
        for completion in completions.drain(..) {
            let key = completion.user_data();
            if key == ACCEPT {
                let key = accepted(&completion, server.workload, &mut clients)?;
                let client = clients[key].as_mut().expect("it was put there just now");
                push(&mut ring, &next(key, client, server.workload))?;
                if !cqueue::more(completion.flags()) {
                    push(&mut ring, &accept)?;
                }
                continue;
            }
            let place = &mut clients[key as usize];
            let client = place
                .as_mut()
                .expect("a client stays while it has an operation");
            if advance(client, completion.result(), server.workload) {
                let entry = next(key as usize, client, server.workload);
                push(&mut ring, &entry)?;
            } else {
                *place = None;
            }
        }
    }
}

fn accepted(
    completion: &cqueue::Entry,
    workload: Connection,
    clients: &mut Vec<Option<Box<Client>>>,
) -> Result<usize, String> {
    if completion.result() < 0 {
        return Err(format!(
            "accept: {}",
            Error::from_raw_os_error(-completion.result())
        ));
    }
    // SAFETY: the kernel has just made this descriptor for us and nobody else
    // knows it.
    let socket = TcpStream::from(unsafe { OwnedFd::from_raw_fd(completion.result()) });
    socket.set_nodelay(true).map_err(failed("no delay"))?;
    let bytes = if let Connection::Echo { bytes } = workload {
        bytes
    } else {
        4096
    };
    let client = Box::new(Client {
        socket,
        buf: vec![0; bytes],
        unsent: 0..0,
    });
    let key = clients
        .iter()
        .position(Option::is_none)
        .unwrap_or(clients.len());
    match clients.get_mut(key) {
        Some(place) => *place = Some(client),
        None => clients.push(Some(client)),
    }
    Ok(key)
}

/// Takes the result of the client's operation; false when the connection is over.
fn advance(client: &mut Client, result: i32, workload: Connection) -> bool {
    let Ok(count @ 1..) = usize::try_from(result) else {
        return false;
    };
    if client.unsent.is_empty() {
        client.unsent = match workload {
            Connection::Http => 0..HELLO.len(),
            Connection::Echo { .. } | Connection::Stall => 0..count,
        };
    } else {
        client.unsent.start += count;
    }
    true
}

/// The client's next operation: send what is unsent, else receive.
fn next(key: usize, client: &mut Client, workload: Connection) -> squeue::Entry {
    let fd = Fd(client.socket.as_raw_fd());
    let unsent = client.unsent.clone();
    let entry = if unsent.is_empty() {
        opcode::Recv::new(fd, client.buf.as_mut_ptr(), client.buf.len() as u32).build()
    } else {
        let answer = if workload == Connection::Http {
            HELLO
        } else {
            &client.buf
        };
        let bytes = &answer[unsent];
        opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32).build()
    };
    entry.user_data(key as u64)
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) -> Result<(), String> {
    loop {
        // SAFETY: the entry points into the heap buffer of a boxed client (or at
        // a static), which moves with no vector and is neither read, written nor
        // freed until the completion of this very operation has been taken: a
        // client has one operation at a time, and goes away only by its result.
        if unsafe { ring.submission().push(entry) }.is_ok() {
            return Ok(());
        }
        ring.submit().map_err(failed("io_uring_enter"))?;
    }
}
