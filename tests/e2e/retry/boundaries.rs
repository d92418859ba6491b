//! The sizes and shares that decide whether a request is sent again, each at its edge.

use std::sync::Barrier;
use std::sync::atomic::Ordering;

use crate::support::{Client, End, InstallDir, TEST_TIMEOUT, eventually, exchange};

use super::*;

/// Bytes of a reply that are held back until it is whole.
const REPLY_BYTES: usize = 36 * 1024;
/// Bytes of a request, head and body, that are kept to be sent again.
const REPLAY_BYTES: usize = 64 * 1024;

#[test]
fn a_reply_of_just_the_buffer_is_held_back_and_one_byte_more_is_not() {
    for over in [0, 1] {
        let head = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 36000\r\n\r\n";
        let length = REPLY_BYTES + over - head.len();
        let head = head.replace("36000", &length.to_string());
        assert_eq!(head.len() + length, REPLY_BYTES + over);
        let cut_off = head + &"x".repeat(length - 1);
        let expected = cut_off.clone();
        let (_backends, addrs, seen) = backends(2, move |number, _, conversation| match number {
            0 => conversation.wire.write(&cut_off).map(|()| false),
            _ => answer(conversation),
        });
        let program = before_all(&addrs, &[]);
        let mut client = program.client();
        if over == 0 {
            assert_eq!(client.ask(GET).text(), "ok");
            assert_eq!(seen.load(Ordering::SeqCst), 2);
        } else {
            client.send(GET);
            assert_eq!(client.take(expected.len()), expected.as_bytes());
            assert_eq!(client.expect_closed(), End::Fin);
            assert_eq!(seen.load(Ordering::SeqCst), 1);
        }
    }
}

fn put(client: &mut Client, framing: &str, body: &str) -> u16 {
    let head = "PUT / HTTP/1.1\r\nHost: a\r\nX-Request-ID: 1\r\n";
    client.send(format!("{head}{framing}\r\n\r\n"));
    client.send(body);
    client.reply().status()
}

#[test]
fn a_request_of_just_the_kept_size_is_sent_again_and_one_byte_more_is_not() {
    // All requests but the first and the third are lost. The first shows the length of the head.
    let (all, addrs, seen) = backends(1, |number, _, conversation| match number {
        0 | 2 => answer(conversation),
        _ => Ok(false),
    });
    let program = before_all(&addrs, &[]);
    let mut client = program.client();
    let framing = |length: usize| format!("Content-Length: {length}");
    assert_eq!(put(&mut client, &framing(60_000), &"x".repeat(60_000)), 200);
    let head_len = all[0].requests()[0].head.len() + "\r\n\r\n".len();
    let most = REPLAY_BYTES - head_len;
    assert!((10_000..100_000).contains(&most), "as many digits");
    // Neither on a kept connection, whose loss is another matter.
    let program = before_all(&addrs, &[]);
    let mut client = program.client();
    assert_eq!(put(&mut client, &framing(most), &"x".repeat(most)), 200);
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    let sent = &all[0].requests()[2];
    assert_eq!(sent.head.len() + 4 + sent.body.len(), REPLAY_BYTES);
    let program = before_all(&addrs, &[]);
    let mut client = program.client();
    let body = "x".repeat(most + 1);
    assert_eq!(put(&mut client, &framing(most + 1), &body), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 4);
}

#[test]
fn chunks_are_kept_as_far_as_bodies_of_known_length() {
    for (len, attempts) in [(60_000, 2), (70_000, 1)] {
        let (_all, addrs, seen) = backends(2, |number, _, conversation| match number {
            0 => Ok(false),
            _ => answer(conversation),
        });
        let program = before_all(&addrs, &[]);
        let body: String = (0..10)
            .map(|_| format!("{:x}\r\n{}\r\n", len / 10, "x".repeat(len / 10)))
            .collect();
        let status = put(
            &mut program.client(),
            "Transfer-Encoding: chunked",
            &(body + "0\r\n\r\n"),
        );
        assert_eq!(status, if attempts == 2 { 200 } else { 502 });
        assert_eq!(seen.load(Ordering::SeqCst), attempts);
    }
}

#[test]
fn a_busy_worker_sends_a_fifth_of_its_requests_again_and_not_one_more() {
    let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let (_all, addrs, seen) = backends(1, move |number, _, conversation| {
        if number < 100 {
            conversation.wire.write(last)?;
        }
        Ok(false)
    });
    let program = before_all(&addrs, &["--retries", "1"]);
    let mut client = program.client();
    for _ in 0..100 {
        assert_eq!(client.ask(GET).status(), 200);
    }
    // At the 25th that fails a fifth of 125 requests is 25, and so it is up to the 29th.
    for _ in 0..29 {
        assert_eq!(client.ask(GET).status(), 502);
    }
    assert_eq!(seen.load(Ordering::SeqCst), 100 + 29 + 25);
    assert_eq!(client.ask(GET).status(), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 100 + 30 + 26);
}

#[test]
fn of_many_that_are_lost_together_the_budget_lets_ten_go_on_and_the_others_are_told() {
    const TOGETHER: usize = 30;
    let all_here = Barrier::new(TOGETHER);
    let (_all, addrs, seen) = backends(1, move |number, _, conversation| {
        if number < TOGETHER {
            all_here.wait();
            return Ok(false);
        }
        answer(conversation)
    });
    let install = InstallDir::empty();
    let log = install.path("access.log");
    let program = before_all(&addrs, &["--access-log", log.to_str().expect("text")]);
    let mut clients: Vec<Client> = (0..TOGETHER).map(|_| program.client()).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    let replies: Vec<Message> = clients.iter_mut().map(Client::reply).collect();
    let (well, denied): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status() == 200);
    assert_eq!((well.len(), denied.len()), (10, 20));
    assert_eq!(seen.load(Ordering::SeqCst), TOGETHER + 10);
    let sentence = "<Error> the replica was lost with this request, and the retry budget is spent: \
                10 retries in 10 s, at most 10 are allowed";
    for reply in denied {
        assert_eq!(reply.status(), 502);
        assert!(reply.text().contains(sentence), "{}", reply.text());
    }
    let metrics = exchange(
        program.control,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .text();
    assert!(
        metrics.contains("\nringmaster_retries_denied_total 20\n"),
        "{metrics}"
    );
    let expected = || program.log().matches("the retry budget is spent").count();
    eventually(TEST_TIMEOUT, "a line in the log", || expected() > 0);
    assert_eq!(expected(), 1, "{}", program.log());
    assert!(program.stop().success());
    let lines = std::fs::read_to_string(&log).expect("the access log");
    let by_budget = |line: &&str| line.contains("status=502") && line.ends_with("ended=budget");
    assert_eq!(lines.lines().filter(by_budget).count(), 20, "{lines}");
}
