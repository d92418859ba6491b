//! Bodies that are not sent, or end before their time, on either side.

use std::sync::{Mutex, mpsc};

use super::OK;
use crate::support::{Backend, End, Ringmaster, TEST_TIMEOUT, pattern};

#[test]
fn an_expectation_is_met_by_the_backend_or_given_up_by_the_client() {
    let backend = Backend::scripted(|mut conversation| {
        loop {
            let head = conversation.head()?;
            if head.start_line().contains("/asks") {
                conversation.wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let body = conversation.wire.body(&head, false)?;
            assert_eq!(body, b"body");
            conversation.wire.write(OK)?;
        }
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    for round in 0..2 {
        client.send(
            "POST /asks HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        );
        assert_eq!(client.reply().status(), 100, "{round}");
        client.send("body");
        assert_eq!(client.reply().status(), 200, "{round}");
        client.send("POST /does-not HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        client.send("body");
        assert_eq!(client.reply().status(), 200, "{round}");
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn an_answer_that_comes_before_the_body_arrives_and_ends_the_connection() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.head()?;
        conversation
            .wire
            .write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")?;
        // The rest of the request is of no interest.
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    for expects in ["", "Expect: 100-continue\r\n"] {
        let mut client = program.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{expects}Content-Length: 1000000\r\n\r\n"
        ));
        if expects.is_empty() {
            client.send(pattern(30_000));
        }
        let reply = client.reply();
        assert_eq!((reply.status(), reply.text().as_str()), (413, "no"));
        assert_eq!(reply.field("connection"), Some("close"));
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let (go, gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let _ = gone.lock().unwrap().recv_timeout(TEST_TIMEOUT);
        conversation.wire.write(OK)
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    client.half_close();
    go.send(()).unwrap();
    assert_eq!(client.reply().text(), "ok");
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn a_client_that_ends_or_resets_amid_its_body_ends_the_request() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        if conversation.head()?.start_line().contains("/next") {
            return conversation.wire.write(OK);
        }
        sender.lock().unwrap().send("begun").unwrap();
        let ended = conversation.wire.take(10);
        assert!(ended.is_err());
        sender.lock().unwrap().send("ended").unwrap();
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    for resets in [false, true] {
        let mut client = program.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
        assert_eq!(receiver.recv_timeout(TEST_TIMEOUT), Ok("begun"));
        if resets {
            client.reset();
        } else {
            client.half_close();
            assert_eq!(client.reply().status(), 400);
            assert_eq!(client.expect_closed(), End::Fin);
        }
        assert_eq!(receiver.recv_timeout(TEST_TIMEOUT), Ok("ended"));
    }
    let next = program
        .client()
        .ask("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(next.status(), 200);
}

#[test]
fn a_client_that_resets_amid_the_reply_lets_go_of_the_backend() {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation
            .wire
            .write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        let piece = pattern(64 * 1024);
        while conversation.wire.write(&piece).is_ok() {}
        sender.lock().unwrap().send(()).unwrap();
        Ok(())
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.take(100_000);
    client.reset();
    assert_eq!(receiver.recv_timeout(TEST_TIMEOUT), Ok(()));
}

#[test]
fn a_reply_that_is_cut_off_is_never_made_whole() {
    let (long, part) = ("Content-Length: 100000\r\n\r\n", "x".repeat(60_000));
    let chunks = format!("Transfer-Encoding: chunked\r\n\r\nEA60\r\n{part}\r\n");
    let open = format!("\r\n{part}");
    // The backend's bytes after the status line, whether it resets, and the end of the client's
    // connection.
    let cases = [
        (format!("{long}{part}"), false, End::Fin),
        (chunks, false, End::Fin),
        (open.clone(), true, End::Reset),
        // Here the end of the connection is the end of the body.
        (open, false, End::Fin),
    ];
    for (reply, resets, end) in cases {
        let (seen, client_saw) = mpsc::channel();
        let client_saw = Mutex::new(client_saw);
        let reply = format!("HTTP/1.1 200 OK\r\nDate: x\r\n{reply}");
        let sent = reply.clone();
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            conversation.wire.write(&sent)?;
            let _ = client_saw.lock().unwrap().recv_timeout(TEST_TIMEOUT);
            if resets {
                conversation.reset();
            }
            Ok(())
        });
        let program = Ringmaster::before(backend.addr, &[]);
        let mut client = program.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let (head, body) = reply.split_at(reply.find("\r\n\r\n").unwrap() + 2);
        let expected = format!("{head}Connection: close\r\n{body}");
        assert_eq!(
            String::from_utf8(client.take(expected.len())).unwrap(),
            expected
        );
        seen.send(()).unwrap();
        assert_eq!(client.expect_closed(), end, "{head}");
        // No part of it was requested twice.
        assert_eq!(backend.requests().len(), 1);
    }
}
