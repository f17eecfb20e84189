//! What becomes ready is reported: before, between and during parks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::net::SendFlags;
use tapio_driver::{Direction, Interest, Limit, Ready, Source};

use crate::rig::{Bell, Line, Rig, is_ready, with_rig};

#[test]
fn what_is_ready_when_armed_is_reported() {
    with_rig(|rig| {
        for direction in Direction::BOTH {
            let (line, bell) = (Line::new(), Bell::new());
            line.send();
            rig.arm(&line.source, direction);
            assert!(bell.wait(&line.source, direction).is_pending());
            rig.park_until("it is reported", || line.is_ready(direction));
            assert_eq!(bell.rings(), 1, "{direction:?}");
        }
    });
}

#[test]
fn nothing_is_reported_that_is_not_there() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        let bell = Bell::new();
        assert!(bell.wait(&line.source, Direction::Read).is_pending());
        rig.settle();
        assert!(!line.is_ready(Direction::Read));
        assert_eq!(bell.rings(), 0);
    });
}

#[test]
fn an_edge_between_two_parks_is_reported_by_the_second() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        rig.settle();
        let bell = Bell::new();
        assert!(bell.wait(&line.source, Direction::Read).is_pending());
        line.send();
        rig.park(Limit::Forever);
        assert!(line.is_ready(Direction::Read), "at the end");
        assert_eq!(bell.rings(), 1);
    });
}

#[test]
fn an_edge_during_a_park_ends_it() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        rig.settle();
        for _ in 0..200 {
            let mut far = line.far.try_clone().expect("a descriptor");
            let peer = thread::spawn(move || far.write_all(b"x"));
            rig.park_until("the byte is reported", || line.is_ready(Direction::Read));
            peer.join().expect("the peer lives").expect("and sends");
            let event = line.take();
            assert!(!line.source.clear(event, Direction::Read), "it stays armed");
        }
    });
}

#[test]
fn every_edge_is_reported_anew() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        for _ in 0..200 {
            line.send();
            rig.park_until("the byte is reported", || line.is_ready(Direction::Read));
            let event = line.take();
            assert!(!line.source.clear(event, Direction::Read), "it stays armed");
            assert!(!line.is_ready(Direction::Read));
        }
    });
}

#[test]
fn a_full_pipe_is_writable_again_when_drained() {
    with_rig(|rig| {
        let line = Line::new();
        rig.arm(&line.source, Direction::Write);
        for _ in 0..20 {
            rig.park_until("there is room", || line.is_ready(Direction::Write));
            let event = line.source.event(Direction::Write.mask());
            while line.near().write(&[0; 4096]).is_ok() {}
            assert!(
                !line.source.clear(event, Direction::Write),
                "it stays armed"
            );
            rig.settle();
            assert!(
                !line.is_ready(Direction::Write),
                "a full pipe is not writable"
            );
            while (&line.far).read(&mut [0; 65_536]).is_ok() {}
        }
    });
}

#[test]
fn the_end_of_a_stream_stays() {
    with_rig(|rig| {
        let line = Line::reading(rig);
        line.far
            .shutdown(Shutdown::Write)
            .expect("a connected pair");
        rig.park_until("the end is reported", || line.is_ready(Direction::Read));
        let event = line.source.event(Ready::ALL);
        assert!(event.ready.is_read_closed() && !event.ready.is_write_closed());
        let _ = line.source.clear(event, Direction::Read);
        assert!(line.source.event(Ready::ALL).ready.is_read_closed());

        let other = Line::reading(rig);
        rig.settle();
        assert!(!other.is_ready(Direction::Read), "the end is no one else's");
    });
}

#[test]
fn a_peer_that_is_gone_closes_both_halves() {
    with_rig(|rig| {
        let Line { source, near, far } = &mut Line::reading(rig);
        let (_, peer) = UnixStream::pair().expect("a socket pair");
        drop(std::mem::replace(far, peer));
        rig.park_until("the end is reported", || is_ready(source, Direction::Read));
        let ready = source.event(Ready::ALL).ready;
        assert!(
            ready.is_read_closed() && ready.is_write_closed(),
            "{ready:?}"
        );
        assert!(near.is_some());
    });
}

#[test]
fn a_reader_that_is_gone_closes_a_pipe() {
    with_rig(|rig| {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        let source = Source::new(writer.as_raw_fd());
        rig.arm(&source, Direction::Write);
        rig.park_until("there is room", || is_ready(&source, Direction::Write));
        drop(reader);
        rig.park_until("the end is reported", || {
            source.event(Ready::ALL).ready.is_write_closed()
        });
        assert!(source.event(Ready::ALL).ready.is_error());
        source.release();
    });
}

#[test]
fn urgent_data_is_a_priority_that_can_be_taken_back() {
    with_rig(|rig| {
        let (near, far) = tcp_pair();
        let source = Source::new(near.as_raw_fd());
        rig.arm(&source, Direction::Read);
        rustix::net::send(&far, b"!", SendFlags::OOB).expect("one urgent byte");
        let mask = Interest::PRIORITY.mask();
        rig.park_until("it is reported", || source.event(mask).ready.is_priority());
        let event = source.event(mask);
        let _ = source.clear(event, Direction::Read);
        assert!(
            !source.event(mask).ready.is_priority(),
            "whoever waits for priority alone would spin"
        );
        source.release();
    });
}

#[test]
fn listeners_and_connects_are_reported() {
    with_rig(|rig| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a mode of a socket");
        let source = Source::new(listener.as_raw_fd());
        rig.arm(&source, Direction::Read);
        rig.settle();
        assert!(!is_ready(&source, Direction::Read));
        let _near = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        rig.park_until("a connection waits", || is_ready(&source, Direction::Read));
        listener.accept().expect("a connection");
        source.release();
    });
}

#[test]
fn a_reset_is_an_error_for_whoever_waits() {
    with_rig(|rig: &mut Rig| {
        let (near, far) = tcp_pair();
        let source = Source::new(near.as_raw_fd());
        let (reader, writer) = (Bell::new(), Bell::new());
        rig.arm(&source, Direction::Read);
        assert!(reader.wait(&source, Direction::Read).is_pending());
        // Unread data turns the close into a reset.
        (&near).write_all(b"unread").expect("a connection");
        far.peek(&mut [0]).expect("it has arrived");
        drop(far);
        rig.park_until("the reset is reported", || reader.rings() == 1);
        let ready = source.event(Ready::ALL).ready;
        assert!(
            ready.is_read_closed() && ready.is_write_closed(),
            "{ready:?}"
        );
        assert!(writer.wait(&source, Direction::Write).is_ready());
        let error = (&near)
            .read(&mut [0; 1])
            .expect_err("the peer has reset it");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        source.release();
    });
}

#[test]
fn an_error_is_told_to_whoever_reads() {
    with_rig(|rig| {
        let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        near.set_nonblocking(true).expect("a mode of a socket");
        let gone = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        near.connect(gone.local_addr().expect("bound"))
            .expect("an address");
        drop(gone);
        let source = Source::new(near.as_raw_fd());
        let reader = Bell::new();
        rig.arm(&source, Direction::Read);
        rig.settle();
        assert!(reader.wait(&source, Direction::Read).is_pending());
        // Nobody is there any more; the answer comes as an error.
        near.send(b"hello?").expect("it leaves");
        rig.park_until("the reader is told", || reader.rings() == 1);
        let error = near.recv(&mut [0; 8]).expect_err("refused");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        source.release();
    });
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    let (far, _) = listener.accept().expect("a connection");
    near.set_nonblocking(true).expect("a mode of a socket");
    (near, far)
}
