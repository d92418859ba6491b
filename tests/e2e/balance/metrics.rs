//! Metrics of whole connections: their ends, and the times of their connects and durations.

use super::before;
use crate::support::{Backend, Ringmaster, TEST_TIMEOUT, eventually};

const ASK: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

/// The value of the sample with this name and these labels.
#[track_caller]
fn value(scrape: &str, name: &str, labels: &str) -> f64 {
    let sample = format!("\nringmaster_{name}{{{labels}}} ");
    let rest = scrape.split_once(&sample).map(|(_, rest)| rest);
    let text = rest.and_then(|rest| rest.lines().next());
    let value = text.and_then(|text| text.parse().ok());
    value.unwrap_or_else(|| panic!("{sample}: {scrape}"))
}

/// Waits until the connections of seat 1 have ended so: in order, by the client, by the replica, by
/// the timeout.
#[track_caller]
fn expect_ends(program: &Ringmaster, expected: [f64; 4]) {
    let ends = ["ended", "client_reset", "replica_reset", "timed_out"];
    let mut found = [0.0; 4];
    let all_ends = || {
        let text = program.metrics();
        found = ends.map(|end| {
            let labels = format!("seat=\"1\",end=\"{end}\"");
            value(&text, "tcp_connections_total", &labels)
        });
        found == expected
    };
    eventually(TEST_TIMEOUT, &format!("{expected:?}"), all_ends);
}

/// A server that resets a connection whose first byte is `r`, and ends others after the client.
fn resetting() -> Backend {
    Backend::scripted(|mut conversation| {
        if conversation.wire.take(1)? == b"r" {
            conversation.reset();
            return Ok(());
        }
        conversation.wire.write("ok")?;
        conversation.wire.rest()?;
        Ok(())
    })
}

#[test]
fn each_connection_is_counted_by_its_end_with_its_times() {
    let backend = resetting();
    let program = Ringmaster::before(backend.addr, &["--balance", "source"]);
    expect_ends(&program, [0.0; 4]);
    for _ in 0..2 {
        let mut client = program.client_after("e12");
        client.half_close();
        assert_eq!(client.rest(), b"ok");
    }
    expect_ends(&program, [2.0, 0.0, 0.0, 0.0]);
    let mut client = program.client_after("e");
    assert_eq!(client.take(2), b"ok");
    client.reset();
    expect_ends(&program, [2.0, 1.0, 0.0, 0.0]);
    program.client_after("r").expect_closed();
    expect_ends(&program, [2.0, 1.0, 1.0, 0.0]);
    let text = program.metrics();
    for name in ["tcp_connect_seconds", "tcp_connection_duration_seconds"] {
        assert_eq!(value(&text, &format!("{name}_count"), "seat=\"1\""), 4.0);
        assert!(
            value(&text, &format!("{name}_sum"), "seat=\"1\"") > 0.0,
            "{name}"
        );
    }
    assert_eq!(value(&text, "received_bytes_total", "seat=\"1\""), 8.0);
    assert_eq!(value(&text, "sent_bytes_total", "seat=\"1\""), 6.0);
}

#[test]
fn a_silent_connection_times_out_after_the_time_that_is_counted() {
    let backend = resetting();
    let args = ["--balance", "sni", "--tunnel-timeout", "1500ms"];
    let program = Ringmaster::before(backend.addr, &args);
    let hello = crate::support::client_hello::message(&[]);
    let hello = crate::support::client_hello::records(&hello, 16_384);
    let mut client = program.client_after(hello);
    assert_eq!(client.take(2), b"ok");
    client.expect_closed();
    expect_ends(&program, [0.0, 0.0, 0.0, 1.0]);
    let text = program.metrics();
    let bucket = |bound: &str| {
        let labels = format!("seat=\"1\",le=\"{bound}\"");
        value(&text, "tcp_connection_duration_seconds_bucket", &labels)
    };
    assert_eq!(
        ["1", "50", "5000", "+Inf"].map(bucket),
        [0.0, 1.0, 1.0, 1.0]
    );
    let sum = value(&text, "tcp_connection_duration_seconds_sum", "seat=\"1\"");
    assert!((1.5..15.0).contains(&sum), "{sum}");
}

#[test]
fn connections_by_their_first_request_count_and_requests_do_not() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (refusing, _socket) = Backend::refusing();
    let program = before(&[backend.addr, refusing], &["--balance", "connection"]);
    for _ in 0..20 {
        let mut client = program.client();
        assert_eq!(client.ask(ASK).status(), 200);
        client.half_close();
        assert_eq!(client.rest(), b"");
    }
    expect_ends(&program, [20.0, 0.0, 0.0, 0.0]);
    let text = program.metrics();
    // No connection is counted that was refused, except as a retry.
    let refused = value(&text, "tcp_connect_seconds_count", "seat=\"2\"");
    assert_eq!(refused, 0.0);
    let program = Ringmaster::before(backend.addr, &[]);
    assert_eq!(program.client().ask(ASK).status(), 200);
    let text = program.metrics();
    assert!(!text.contains("ringmaster_tcp_"), "{text}");
}
