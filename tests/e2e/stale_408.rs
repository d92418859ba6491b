//! A 408 on a kept connection: the server has timed the idle connection out, and sends the 408 as
//! the answer to the next request (RFC 9110 §15.5.9).

use crate::support::{Backend, Ringmaster, exchange};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TIMED_OUT: &str =
    "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlate";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn metrics(program: &Ringmaster) -> String {
    exchange(
        program.control,
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .text()
}

/// Serves one request on each connection; the second one finds it timed out.
fn timing_out() -> Backend {
    Backend::scripted(|mut conversation| {
        conversation.request()?;
        conversation.wire.write(OK)?;
        conversation.wire.head()?;
        conversation.wire.write(TIMED_OUT)
    })
}

#[test]
fn a_request_that_meets_a_stale_408_is_repeated_on_a_fresh_connection() {
    let backend = timing_out();
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    let mut client = program.client();
    for round in 1..=3 {
        let reply = client.ask(GET);
        assert_eq!((reply.status(), reply.text().as_str()), (200, "ok"));
        assert_eq!(backend.connections(), round, "one for each request");
    }
    // The replica stays healthy: no request was lost with it.
    let metrics = metrics(&program);
    let stale = "ringmaster_retries_total{seat=\"1\",reason=\"stale\"} 2";
    assert!(metrics.contains(stale), "{metrics}");
    let lost = "ringmaster_retries_total{seat=\"1\",reason=\"lost\"} 0";
    assert!(metrics.contains(lost), "{metrics}");
}

#[test]
fn a_post_that_meets_a_stale_408_gets_an_error() {
    let backend = timing_out();
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    let mut client = program.client();
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(client.ask(post).status(), 200);
    // A proxy must not repeat it (RFC 9110 §9.2.2); the client may.
    assert_eq!(client.ask(post).status(), 408);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_408_on_a_fresh_connection_is_the_answer() {
    let backend = Backend::answering(TIMED_OUT);
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    for _ in 0..2 {
        let reply = client.ask(GET);
        assert_eq!((reply.status(), reply.text().as_str()), (408, "late"));
    }
    assert_eq!(backend.requests().len(), 2);
}
