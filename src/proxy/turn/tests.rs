//! How much is moved in one poll of a session whose two sockets are always ready.

use super::*;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};

use crate::metrics::Counter;
use crate::proxy::flow::Flow;
use crate::proxy::request::Outgoing;
use crate::proxy::worker::Worker;
use crate::proxy::{chunks, tunnel};
use crate::wire::chunked::Scanner;
use crate::wire::framing::Body;

/// What the tunnel moves before the test ends.
const ENOUGH: u64 = 64 * 1024 * 1024;

/// A connection, and its far end for a thread.
async fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let far = listener.accept().await.unwrap().0.into_std().unwrap();
    far.set_nonblocking(false).unwrap();
    (near, far)
}

#[tokio::test]
async fn a_tunnel_that_never_waits_gives_way_after_a_turn() {
    let ((mut client, mut sender), (mut replica, mut receiver)) = (pair().await, pair().await);
    let threads = [
        std::thread::spawn(move || while sender.write(&[1; 256 * 1024]).is_ok() {}),
        std::thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while receiver.read(&mut buffer).is_ok_and(|read| read > 0) {}
        }),
    ];
    let worker = Worker::before_nobody();
    let (all, own) = (Counter::default(), Cell::new(0));
    let flow = Flow {
        all: &all,
        own: &own,
    };
    let (back, none) = (Counter::default(), Cell::new(0));
    let nothing = Flow {
        all: &back,
        own: &none,
    };
    let mut early = BytesMut::new();
    let most = {
        let flows = (flow, nothing);
        let tunnel = tunnel::run(&worker, &mut client, &mut replica, &mut early, flows);
        let (mut tunnel, mut most) = (pin!(tunnel), 0);
        let enough = poll_fn(|cx| {
            let before = own.get();
            assert!(tunnel.as_mut().poll(cx).is_pending(), "it has ended");
            most = most.max(own.get() - before);
            match own.get() >= ENOUGH {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, enough).await.unwrap();
        most
    };
    // The pipe's slots may hold packets larger than a page, and one such packet more than was asked for.
    let limit = 2 * TURN_BYTES + 64 * 1024;
    assert!(most <= limit, "{most} bytes in one poll");
    drop((client, replica));
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn one_byte_chunks_are_scanned_for_as_long_as_a_pipe_is_moved() {
    let mut inbox = BytesMut::new();
    while inbox.len() < 1024 * 1024 {
        inbox.extend_from_slice(b"1\r\nx\r\n");
    }
    let mut outgoing = Outgoing {
        bytes: BytesMut::new(),
        sent: 0,
        replayable: true,
        body: Body::Chunked(Scanner::default()),
        uncounted: 0,
    };
    let (mut turn, before) = (Turn::default(), inbox.len());
    while !turn.is_over() {
        let whole = outgoing.absorb(&mut inbox, &mut turn).unwrap();
        assert!(!whole, "more is here");
    }
    let scanned = before - inbox.len();
    assert!((4096..=16 * 1024).contains(&scanned), "{scanned} bytes");
}

#[test]
fn large_chunks_and_plain_bodies_are_taken_at_once() {
    let mut scanner = Scanner::default();
    assert_eq!(scanner.next(b"10000\r\n").unwrap().0, 7);
    let input = vec![b'x'; 36 * 1024];
    for body in [Body::Chunked(scanner), Body::Length(1), Body::UntilClose] {
        assert_eq!(chunks::window(&body, &input).len(), input.len(), "{body:?}");
    }
    let fresh = Body::Chunked(Scanner::default());
    let window = chunks::window(&fresh, &input).len();
    assert!(window > crate::wire::chunked::MAX_TRAILER_NAME && window <= 4096);
}
