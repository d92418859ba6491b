//! Requests that are sent again, and those that are not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::Backend;

use super::*;

#[test]
fn a_refusal_leads_through_every_seat_once() {
    let backend = Backend::answering(OK);
    let (first, _first) = Backend::refusing();
    let (second, _second) = Backend::refusing();
    let program = before_all(&[first, backend.addr, second], &["--retries", "0"]);
    let mut client = program.client();
    for id in 0..30 {
        // Even a request that must not be sent twice is not lost: no replica has seen a byte of it.
        let request = format!("POST /?id={id} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(client.ask(request).status(), 200);
    }
    let mut bodies = backend.requests().into_iter().map(|request| request.text());
    assert!(bodies.all(|body| body == "abc"));
    let all_refuse = before_all(&[first, second], &[]);
    let mut client = all_refuse.client();
    let reply = client.ask(GET);
    assert_eq!(
        (reply.status(), reply.field("retry-after")),
        (503, Some("1"))
    );
    assert!(reply.text().starts_with("{\"message\":\"<Error> "));
    assert_eq!(client.ask(GET).status(), 503);
}

#[test]
fn a_get_is_sent_again_when_its_replica_dies_holding_it() {
    let (_backends, addrs, seen) = backends(3, |number, _, conversation| match number {
        0 => Ok(false),
        _ => answer(conversation),
    });
    let program = before_all(&addrs, &[]);
    assert_eq!(program.client().ask(GET).text(), "ok");
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

/// Backends that keep a connection for one reply and close it over the second request.
fn forgetful(count: usize) -> (Vec<Backend>, Vec<SocketAddr>, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let one = || {
        let seen = Arc::clone(&seen);
        Backend::scripted(move |mut conversation| {
            conversation.request()?;
            seen.fetch_add(1, Ordering::SeqCst);
            answer(&mut conversation)?;
            conversation.request()?;
            seen.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    };
    let all: Vec<Backend> = (0..count).map(|_| one()).collect();
    let addrs = all.iter().map(|backend| backend.addr).collect();
    (all, addrs, seen)
}

#[test]
fn a_kept_connection_that_turns_out_closed_costs_no_retry() {
    let (_backends, addrs, seen) = forgetful(1);
    let program = before_all(&addrs, &["--retries", "0"]);
    let mut client = program.client();
    for _ in 0..4 {
        assert_eq!(client.ask(GET).status(), 200);
    }
    // The first request takes a fresh connection. Each further one tries a kept one, then a fresh
    // one.
    assert_eq!(seen.load(Ordering::SeqCst), 1 + 3 * 2);
}

#[test]
fn a_put_is_sent_again_with_its_whole_body() {
    let body = "0123456789".repeat(5000);
    let expected = body.clone();
    let (_backends, addrs, seen) = backends(2, move |number, request, conversation| {
        assert_eq!(request.text(), expected);
        match number {
            0 => Ok(false),
            _ => answer(conversation),
        }
    });
    let program = before_all(&addrs, &[]);
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(program.client().ask(head + &body).text(), "ok");
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[test]
fn a_body_that_was_too_large_to_keep_is_not_sent_again() {
    let (_backends, addrs, seen) = backends(2, |_, _, _| Ok(false));
    let program = before_all(&addrs, &[]);
    let body = "0123456789".repeat(10_000);
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = program.client();
    assert_eq!(client.ask(head + &body).status(), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[test]
fn a_get_lost_with_two_replicas_is_not_sent_to_a_third() {
    let (_backends, addrs, seen) = backends(4, |_, _, _| Ok(false));
    let program = before_all(&addrs, &["--retries", "9"]);
    let mut client = program.client();
    let reply = client.ask(GET);
    assert_eq!(reply.status(), 502);
    assert!(reply.text().starts_with("{\"message\":\"<Error> "));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    // The client did nothing wrong: its connection stays.
    assert_eq!(client.ask(GET).status(), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 4);
}

#[test]
fn retries_are_counted_at_their_edge() {
    for (retries, attempts) in [("0", 1), ("1", 2), ("2", 3)] {
        let (_backends, addrs, seen) = backends(1, |_, _, _| Ok(false));
        let program = before_all(&addrs, &["--retries", retries]);
        assert_eq!(program.client().ask(GET).status(), 502);
        assert_eq!(seen.load(Ordering::SeqCst), attempts);
    }
}

#[test]
fn a_worker_sends_ten_requests_again_and_then_no_more_than_a_fifth() {
    let (_backends, addrs, seen) = backends(1, |_, _, _| Ok(false));
    let program = before_all(&addrs, &["--retries", "1"]);
    let mut client = program.client();
    for _ in 0..14 {
        assert_eq!(client.ask(GET).status(), 502);
    }
    assert_eq!(seen.load(Ordering::SeqCst), 14 + 10);
}

#[test]
fn a_post_that_may_have_been_seen_is_not_sent_twice() {
    // The second time on a kept connection, which the replica ends just then.
    let (backends, addrs, seen) = backends(1, |number, _, conversation| match number {
        0 => answer(conversation),
        _ => Ok(false),
    });
    let program = before_all(&addrs, &["--retries", "9"]);
    let mut client = program.client();
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(client.ask(POST).status(), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(backends[0].connections(), 1);
}
