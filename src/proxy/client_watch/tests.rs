//! Both kinds of a client's end over real sockets, with and without unread input.

use super::*;
use crate::proxy::young_waits::YOUNG_WAIT_TICK;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

const LIMIT: Duration = Duration::from_secs(20);

/// Returns the server's end of a client connection, and the client.
async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, ours) = tokio::join!(client, listener.accept());
    (ours.unwrap().0, client.unwrap())
}

fn on_a_worker(test: impl AsyncFnOnce(Rc<Worker>)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let worker = Rc::new(Worker::without_replicas());
        tokio::task::spawn_local(Rc::clone(&worker).watch_clients());
        test(worker).await;
    });
}

/// Waits until the watch reports that the client has left; `None` after `limit`.
async fn gone(
    worker: &Worker,
    ends: &ClientEnds,
    ours: &TcpStream,
    silent_since: Option<Instant>,
    limit: Duration,
) -> Option<()> {
    let mut watch = ClientWatch::new(worker, ends, || Ok(ours));
    let gone = poll_fn(|cx| watch.poll_gone(cx, || silent_since));
    timeout(limit, gone).await.ok()
}

#[test]
fn a_reset_is_detected_behind_unread_input() {
    for input in [b"".as_slice(), b"GET / HTTP/1.1\r\n\r\n"] {
        on_a_worker(async |worker| {
            let (ours, mut client) = connected().await;
            client.write_all(input).await.unwrap();
            crate::wire::socket::reset(client);
            let ends = ClientEnds::default();
            let seen = gone(&worker, &ends, &ours, None, LIMIT).await;
            assert_eq!(seen, Some(()), "{input:?}");
        });
    }
}

#[test]
fn an_end_of_file_counts_after_its_grace_once_only_the_replica_is_awaited() {
    for input in [b"".as_slice(), b"GET / HTTP/1.1\r\n\r\n"] {
        on_a_worker(async |worker| {
            let (ours, mut client) = connected().await;
            client.write_all(input).await.unwrap();
            client.shutdown().await.unwrap();
            let ends = ClientEnds::default();
            let grace = worker.settings.limits.half_close_grace;
            let begun = Instant::now();
            let long = 2 * grace;
            let seen = gone(&worker, &ends, &ours, None, long).await;
            assert_eq!(seen, None, "{input:?}");
            let end = ends.half_closed.get().expect("the end is noted");
            // A wait that begins later has the whole grace again.
            let since = Instant::now();
            let seen = gone(&worker, &ends, &ours, Some(since), LIMIT).await;
            assert_eq!(seen, Some(()), "{input:?}");
            assert!(since.elapsed() >= grace, "{:?}", since.elapsed());
            assert_eq!(ends.half_closed.get(), Some(end));
            assert!(begun <= end && end < since);
            // A wait that began before the end has its grace from the end.
            let seen = gone(&worker, &ends, &ours, Some(begun), LIMIT).await;
            assert_eq!(seen, Some(()), "{input:?}");
            // A reset after the end is detected, too.
            client.set_zero_linger().unwrap();
            drop(client);
            let seen = gone(&worker, &ends, &ours, None, LIMIT).await;
            assert_eq!(seen, Some(()), "{input:?}");
        });
    }
}

#[test]
fn a_client_that_stays_is_present_whatever_it_sends() {
    on_a_worker(async |worker| {
        let (ours, mut client) = connected().await;
        client.write_all(&[b'x'; 1000]).await.unwrap();
        let (ends, since) = (ClientEnds::default(), Instant::now());
        let mut polls = 0;
        let mut watch = ClientWatch::new(&worker, &ends, || Ok(&ours));
        let gone = poll_fn(|cx| {
            polls += 1;
            watch.poll_gone(cx, || Some(since))
        });
        assert!(timeout(20 * YOUNG_WAIT_TICK, gone).await.is_err());
        // The wait begins, grows, and nothing more happens.
        assert!(polls <= 4, "{polls} polls");
    });
}

#[test]
fn a_short_wait_does_not_touch_its_socket_and_ticks_stop_without_waits() {
    on_a_worker(async |worker| {
        // Each round is another request: its age counts from its first wait.
        for _ in 0..3 {
            let (ends, registered) = (ClientEnds::default(), Cell::new(false));
            {
                let mut watch = ClientWatch::new(&worker, &ends, || {
                    registered.set(true);
                    Err(io::ErrorKind::NotConnected.into())
                });
                let mut poll = |cx: &mut Context<'_>| watch.poll_gone(cx, || None);
                assert!(poll_fn(|cx| Poll::Ready(poll(cx))).await.is_pending());
                assert!(!registered.get());
                assert_eq!(worker.young_waits.len(), 1);
                // A long wait asks for the socket. A lost connection counts as a client that left.
                timeout(LIMIT, poll_fn(poll)).await.unwrap();
            }
            assert!(registered.get());
            assert_eq!(worker.young_waits.len(), 0);
            sleep(6 * YOUNG_WAIT_TICK).await;
            assert!(worker.young_waits.is_dormant());
        }
    });
}
