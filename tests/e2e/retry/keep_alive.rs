//! Connections to replicas that are used again, and replies that are held back until they are
//! whole.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use crate::support::{Backend, Conversation, Message, TEST_TIMEOUT};

use super::*;

#[test]
fn a_kept_connection_that_ends_is_reopened_on_the_same_seat() {
    let dying = |number: usize, _: &Message, conversation: &mut Conversation| {
        if number == 1 {
            Ok(false)
        } else {
            answer(conversation)
        }
    };
    let (backends, addrs, seen) = backends(2, dying);
    let program = before_all(&addrs, &[]);
    let mut client = program.client();
    for _ in 0..2 {
        assert_eq!(
            client.ask("GET /?id=5 HTTP/1.1\r\nHost: a\r\n\r\n").text(),
            "ok"
        );
    }
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    let mut connections: Vec<_> = backends.iter().map(Backend::connections).collect();
    connections.sort_unstable();
    assert_eq!(connections, [0, 2]);
}

#[test]
fn a_short_reply_is_held_back_until_it_is_whole() {
    let (_backends, addrs, seen) = backends(2, |number, _, conversation| match number {
        0 => {
            conversation
                .wire
                .write("HTTP/1.1 200 OK\r\nX-Try: 1\r\nContent-Length: 30000\r\n\r\nhalf")?;
            Ok(false)
        }
        _ => answer(conversation),
    });
    let program = before_all(&addrs, &[]);
    let mut client = program.client();
    let reply = client.ask(GET);
    assert_eq!((reply.text().as_str(), reply.field("x-try")), ("ok", None));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(client.ask(GET).text(), "ok");
}

#[test]
fn an_old_connection_is_not_trusted_with_a_post() {
    let backend = Backend::answering(OK);
    let program = before_all(&[backend.addr], &[]);
    let mut client = program.client();
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(backend.connections(), 1);
    // Only time can make it old.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_connection_on_which_something_was_said_unasked_is_not_used_again() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            conversation.wire.write(OK)?;
            if conversation.number == 0 {
                // Not in one segment with the reply, if the kernel so pleases.
                conversation
                    .wire
                    .write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")?;
                sender.lock().unwrap().send(()).unwrap();
            }
        }
    });
    let program = before_all(&[backend.addr], &[]);
    let mut client = program.client();
    assert_eq!(client.ask(GET).text(), "ok");
    receiver.recv_timeout(TEST_TIMEOUT).unwrap();
    assert_eq!(client.ask(GET).text(), "ok");
    assert_eq!(backend.connections(), 2);
}

#[test]
fn connections_are_kept_only_as_long_and_as_many_as_allowed() {
    let keep_alive = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok";
    let promised =
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60, max=9\r\nContent-Length: 2\r\n\r\nok";
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let old = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let old_kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";
    for (reply, args, connections) in [
        (OK, &["--pool-per-seat", "1"][..], 1),
        (OK, &["--pool-per-seat", "0"], 3),
        (OK, &["--pool-idle", "0s"], 3),
        (keep_alive, &[], 3),
        (promised, &[], 1),
        // A promise of more is no reason to keep it for longer.
        (promised, &["--pool-idle", "0s"], 3),
        (close, &[], 3),
        (old, &[], 3),
        (old_kept, &[], 1),
    ] {
        let backend = Backend::answering(reply);
        let program = before_all(&[backend.addr], args);
        let mut client = program.client();
        for _ in 0..3 {
            assert_eq!(client.ask(GET).text(), "ok");
        }
        assert_eq!(backend.connections(), connections, "{reply} {args:?}");
    }
}

/// A backend that answers requests two by two, and a channel that reports the end of each
/// connection.
fn pairing() -> (Backend, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    let (sender, meet) = (Mutex::new(sender), std::sync::Barrier::new(2));
    let backend = Backend::scripted(move |mut conversation| {
        while conversation.request().is_ok() {
            meet.wait();
            conversation.wire.write(OK)?;
        }
        // The test may be over.
        let _ = sender.lock().expect("a lock").send(());
        Ok(())
    });
    (backend, receiver)
}

#[test]
fn the_pool_of_a_seat_is_bounded_by_number_and_by_time() {
    for (per_seat, idle, ends) in [("1", "1h", 1), ("2", "100ms", 2)] {
        let (backend, receiver) = pairing();
        let program = before_all(
            &[backend.addr],
            &["--pool-per-seat", per_seat, "--pool-idle", idle],
        );
        let mut clients = [program.client(), program.client()];
        clients.iter_mut().for_each(|client| client.send(GET));
        for client in &mut clients {
            assert_eq!(client.reply().text(), "ok");
        }
        assert_eq!(backend.connections(), 2);
        for _ in 0..ends {
            receiver.recv_timeout(TEST_TIMEOUT).unwrap();
        }
    }
}
