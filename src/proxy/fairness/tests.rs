//! Bytes that one poll of a session moves if both sockets are always ready.

use super::*;

use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::metrics::Counter;
use crate::proxy::replay_memory::ReplayMemory;
use crate::proxy::request::OutgoingRequest;
use crate::proxy::request_stats::ByteCounters;
use crate::proxy::tunnel;
use crate::proxy::worker::Worker;
use crate::wire::chunked::Scanner;
use crate::wire::framing::Body;

/// Bytes that the tunnel moves before the test ends.
const MIN_MOVED: u64 = 64 * 1024 * 1024;

/// Returns a connection, and its far end for a thread.
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
async fn a_tunnel_that_never_waits_yields_after_a_turn() {
    let ((mut client, mut sender), (mut replica, mut receiver)) = (pair().await, pair().await);
    let threads = [
        std::thread::spawn(move || while sender.write(&[1; 256 * 1024]).is_ok() {}),
        std::thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while receiver.read(&mut buffer).is_ok_and(|read| read > 0) {}
        }),
    ];
    let worker = Worker::without_replicas();
    let (all, own) = (Counter::default(), Cell::new(0));
    let counters = ByteCounters {
        replica: &all,
        request: &own,
    };
    let (back, none) = (Counter::default(), Cell::new(0));
    let nothing = ByteCounters {
        replica: &back,
        request: &none,
    };
    let mut early = BytesMut::new();
    let most = {
        let both_counters = (counters, nothing);
        let tunnel = tunnel::run(
            &worker,
            &mut client,
            &mut replica,
            &mut early,
            both_counters,
        );
        let (mut tunnel, mut most) = (pin!(tunnel), 0);
        let enough = poll_fn(|cx| {
            let before = own.get();
            assert!(tunnel.as_mut().poll(cx).is_pending(), "it has ended");
            most = most.max(own.get() - before);
            match own.get() >= MIN_MOVED {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, enough).await.unwrap();
        most
    };
    // The pipe's slots may hold packets larger than a page, and one such packet more than
    // requested.
    let limit = 2 * TURN_BYTES + 64 * 1024;
    assert!(most <= limit, "{most} bytes in one poll");
    drop((client, replica));
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Returns the bytes of a body of these chunks that one turn takes.
fn turn_of_chunks(chunk: &[u8]) -> usize {
    let mut inbox = BytesMut::from(&chunk.repeat(1024 * 1024 / chunk.len())[..]);
    let mut outgoing = OutgoingRequest {
        bytes: BytesMut::new(),
        sent: 0,
        idempotent: false,
        replayable: true,
        dropped: false,
        kept: ReplayMemory::default().share(),
        body: Body::Chunked(Scanner::default()),
        uncounted: 0,
    };
    let (mut turn, before) = (Turn::default(), inbox.len());
    while !turn.is_turn_over() {
        let whole = outgoing.absorb(&mut inbox, &mut turn).unwrap();
        assert!(!whole, "more is here");
    }
    before - inbox.len()
}

#[test]
fn a_turn_of_one_byte_chunks_takes_no_longer_than_one_of_a_pipe() {
    let taken = turn_of_chunks(b"1\r\nx\r\n");
    assert!((64 * 1024..=192 * 1024).contains(&taken), "{taken} bytes");
    // An extension is scanned byte by byte.
    let taken = turn_of_chunks(b"1;a\r\nx\r\n");
    assert!((4096..=32 * 1024).contains(&taken), "{taken} bytes");
}

/// Runs the turns of a session, notes its number for each, and yields after each.
async fn run(queue: Rc<TurnQueue>, number: u32, turns: u64, log: Rc<RefCell<Vec<u32>>>) {
    let mut turn = Turn::default();
    for _ in 0..turns {
        log.borrow_mut().push(number);
        turn.count(TURN_BYTES);
        turn.yield_if_over(&queue).await;
    }
}

/// Returns each number with the length of its row.
fn rows(log: &[u32]) -> Vec<(u32, u64)> {
    let rows = log.chunk_by(|a, b| a == b);
    rows.map(|row| (row[0], row.len() as u64)).collect()
}

/// Returns a queue, its notes, and an event loop for its sessions.
fn setup() -> (Rc<TurnQueue>, Rc<RefCell<Vec<u32>>>, LocalSet) {
    Default::default()
}

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_single_session_runs_and_the_others_queue() {
    let (queue, log, sessions) = setup();
    let turns = 2 * RUN_BYTES / TURN_BYTES;
    for number in 1..=3 {
        sessions.spawn_local(run(Rc::clone(&queue), number, turns, Rc::clone(&log)));
    }
    tokio::time::timeout(LIMIT, sessions).await.unwrap();
    // Each session begins with one turn; then they have their runs in order.
    let all = rows(&log.borrow());
    let numbers: Vec<u32> = all.iter().map(|row| row.0).collect();
    assert_eq!(numbers, [1, 2, 3, 1, 2, 3, 1, 2, 3], "{all:?}");
    let long = all[3..6].iter();
    let whole = RUN_BYTES / TURN_BYTES;
    assert!(
        long.clone().all(|row| row.1.abs_diff(whole) <= 1),
        "{all:?}"
    );
}

#[tokio::test]
async fn a_session_that_waits_for_a_socket_blocks_no_other() {
    let (queue, log, sessions) = setup();
    let go = Rc::new(tokio::sync::Notify::new());
    let (first, log_of, gone) = (Rc::clone(&queue), Rc::clone(&log), Rc::clone(&go));
    sessions.spawn_local(async move {
        run(Rc::clone(&first), 1, 2, Rc::clone(&log_of)).await;
        gone.notified().await;
        run(first, 1, 2, log_of).await;
    });
    let (second, log_of) = (Rc::clone(&queue), Rc::clone(&log));
    sessions.spawn_local(async move {
        run(second, 2, 5, log_of).await;
        go.notify_one();
    });
    tokio::time::timeout(LIMIT, sessions).await.unwrap();
    assert_eq!(rows(&log.borrow()).last(), Some(&(1, 2)));
    assert_eq!(
        log.borrow().iter().filter(|number| **number == 2).count(),
        5
    );
}

#[tokio::test]
async fn a_session_that_ends_in_the_queue_or_its_run_unblocks_the_others() {
    for ends in [vec![0], vec![1], vec![0, 1], vec![1, 2]] {
        let (queue, log, sessions) = setup();
        let all: Vec<_> = (1..=4)
            .map(|number| {
                let turns = if number == 4 { 3 } else { u64::MAX };
                sessions.spawn_local(run(Rc::clone(&queue), number, turns, Rc::clone(&log)))
            })
            .collect();
        let rest = sessions.run_until(async {
            for _ in 0..3 {
                yield_now().await;
            }
            ends.iter().for_each(|at| all[*at].abort());
            let mut all = all.into_iter();
            all.next_back().unwrap().await
        });
        tokio::time::timeout(LIMIT, rest).await.unwrap().unwrap();
    }
}

#[test]
fn large_chunks_and_plain_bodies_are_taken_at_once() {
    let mut scanner = Scanner::default();
    assert_eq!(scanner.next(b"10000\r\n").unwrap().0, 7);
    let input = vec![b'x'; 36 * 1024];
    for body in [Body::Chunked(scanner), Body::Length(1), Body::UntilClose] {
        assert_eq!(scan_window(&body, &input).len(), input.len(), "{body:?}");
    }
    let fresh = Body::Chunked(Scanner::default());
    let window = scan_window(&fresh, &input).len();
    assert!(window > crate::wire::chunked::MAX_TRAILER_NAME && window <= 4096);
}
