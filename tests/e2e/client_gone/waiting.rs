//! Clients that leave before the reply: during the replica's work, the connect, and the wait for a
//! seat.

use std::sync::{Mutex, mpsc};

use super::{
    GET, Leaves, NEVER, OK, SECOND, expect_end, expect_nothing_held, silent_after, totals,
};
use crate::e2e::timeouts::backends::unanswering;
use crate::support::{Backend, End, Ringmaster, TEST_TIMEOUT, eventually};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

#[test]
fn a_client_that_leaves_ends_the_wait_for_a_head() {
    for leaves in Leaves::ALL {
        let (backend, receiver) = silent_after("");
        let args = [&leaves.grace()[..], &["--reply-timeout", NEVER]].concat();
        let program = Ringmaster::before(backend.addr, &args);
        // The last two have input that is never read: another request, and a piece of one.
        let requests = [
            GET.to_owned(),
            POST.to_owned(),
            "GET / HTTP/1.0\r\n\r\n".to_owned(),
            [GET, GET].concat(),
            [POST, &"x".repeat(100_000)].concat(),
        ];
        for (at, request) in requests.iter().enumerate() {
            let client = program.client_after(request);
            eventually(TEST_TIMEOUT, "the backend has the request", || {
                backend.requests().len() == at + 1
            });
            leaves.leave(client);
            expect_end(&receiver, &format!("{leaves:?} {request:.20}"));
            expect_nothing_held(&program);
        }
        // Neither the pipelined one nor any twice.
        assert_eq!(backend.requests().len(), requests.len());
        assert_eq!(totals(&program)["requests"], requests.len());
    }
}

#[test]
fn a_client_that_leaves_on_a_kept_connection_is_noticed_as_well() {
    for leaves in Leaves::ALL {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            conversation.wire.write(OK)?;
            conversation.request()?;
            let _ = conversation.wire.rest();
            sender
                .lock()
                .expect("a lock")
                .send(())
                .map_err(std::io::Error::other)
        });
        let program = Ringmaster::before(backend.addr, &leaves.grace());
        let mut client = program.client();
        assert_eq!(client.ask(GET).status(), 200);
        client.send(GET);
        eventually(TEST_TIMEOUT, "the second request", || {
            backend.requests().len() == 2
        });
        leaves.leave(client);
        expect_end(&receiver, &format!("{leaves:?}"));
        expect_nothing_held(&program);
    }
}

#[test]
fn a_half_closed_client_is_answered_within_its_grace() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            // Long enough for the end to be seen first, where it is looked at.
            let waited = gone.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
            waited.map_err(std::io::Error::other)?;
            conversation.wire.write(OK)?;
        }
    });
    let program = Ringmaster::before(backend.addr, &["--half-close-grace", NEVER]);
    // As `printf … | nc -N` does it.
    let pipelined = [GET, GET].concat();
    for (request, replies) in [(GET, 1), (POST, 1), (&pipelined, 2)] {
        let mut client = program.client_after(request);
        client.half_close();
        for _ in 0..replies {
            assert!(!client.has_bytes_within(SECOND / 5), "nothing to read yet");
            go.send(()).unwrap();
            assert_eq!(client.reply().text(), "ok");
        }
        assert_eq!(client.expect_closed(), End::Fin);
    }
    // By default the grace is a second, within which a reply at once is safe.
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &[]);
    for _ in 0..20 {
        let mut client = program.client_after(GET);
        client.half_close();
        assert_eq!(client.reply().text(), "ok");
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

#[test]
fn a_grace_of_nothing_ends_a_wait_and_spares_what_is_answered_at_once() {
    let (backend, receiver) = silent_after("");
    let program = Ringmaster::before(backend.addr, &["--half-close-grace", "0s"]);
    let mut client = program.client_after(GET);
    client.half_close();
    assert_eq!(client.expect_closed(), End::Fin);
    expect_end(&receiver, "no grace");
    expect_nothing_held(&program);
}

#[test]
fn an_upload_is_no_early_end() {
    // The replica is slow to read, longer than the grace, and the client has sent all and
    // half-closed. The kernel's buffers between the two hold less than all of it.
    let length = 8 * 1024 * 1024;
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        let socket = socket2::SockRef::from(&conversation.wire.stream);
        socket.set_recv_buffer_size(16 * 1024)?;
        let head = conversation.head()?;
        sender
            .lock()
            .expect("a lock")
            .send(())
            .map_err(std::io::Error::other)?;
        std::thread::sleep(2 * SECOND);
        let body = conversation.wire.body(&head, false)?;
        assert_eq!(body.len(), length);
        conversation.wire.write(OK)
    });
    let program = Ringmaster::before(backend.addr, &["--half-close-grace", "1s"]);
    let mut client = program.client_after(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
    ));
    receiver
        .recv_timeout(TEST_TIMEOUT)
        .expect("the head arrives");
    client.send(vec![b'x'; length]);
    client.half_close();
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_client_that_resets_while_its_upload_is_stuck_is_noticed() {
    const EARLY: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok";
    for beginning in ["", EARLY] {
        let (go, gone) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let backend = Backend::scripted(move |mut conversation| {
            // It reads nothing of the body.
            conversation.head()?;
            conversation.wire.write(beginning)?;
            let _ = gone.lock().expect("a lock").recv();
            Ok(())
        });
        for args in [&[][..], &["--no-splice"]] {
            let limits = ["--write-timeout", NEVER, "--half-close-grace", NEVER];
            let program = Ringmaster::before(backend.addr, &[args, &limits].concat());
            let length = 64 * 1024 * 1024;
            let mut client = program.client_after(format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
            ));
            if !beginning.is_empty() {
                assert_eq!(client.reply().status(), 202);
            }
            // More than the balancer takes off the wire while the replica takes nothing.
            client.send_until_stuck(length);
            client.reset();
            expect_nothing_held(&program);
        }
        drop(go);
    }
}

#[test]
fn a_client_that_leaves_is_not_connected_for() {
    for balance in ["request", "connection", "source"] {
        let (addr, _held) = unanswering();
        let args = ["--connect-timeout", NEVER, "--half-close-grace", NEVER];
        let args = [&args[..], &["--balance", balance]].concat();
        let program = Ringmaster::before(addr, &args);
        let client = program.client_after(GET);
        eventually(TEST_TIMEOUT, "it is connected for", || {
            totals(&program)["in_flight"] == 1
        });
        client.reset();
        expect_nothing_held(&program);
    }
}

#[test]
fn a_client_that_leaves_waits_for_no_seat() {
    for balance in ["request", "connection", "source"] {
        let backend = Backend::answering(OK);
        let name = format!("S1={}", backend.addr);
        let args = ["--backend", &name, "--seat-wait", NEVER];
        let args = [
            &args[..],
            &["--half-close-grace", NEVER, "--balance", balance],
        ]
        .concat();
        let program = Ringmaster::start(&args);
        drop(backend);
        program.event("down", 1);
        let client = program.client_after(GET);
        eventually(TEST_TIMEOUT, "it waits", || {
            totals(&program)["connections"]["open"] == 1
        });
        client.reset();
        expect_nothing_held(&program);
    }
}

#[test]
fn a_half_closed_client_waits_for_a_seat_as_long_as_its_grace() {
    let backend = Backend::answering(OK);
    let name = format!("S1={}", backend.addr);
    let args = ["--backend", &name, "--seat-wait", NEVER];
    let program = Ringmaster::start(&[&args[..], &["--half-close-grace", "100ms"]].concat());
    drop(backend);
    program.event("down", 1);
    let mut client = program.client_after(GET);
    client.half_close();
    assert_eq!(client.expect_closed(), End::Fin);
    expect_nothing_held(&program);
}
