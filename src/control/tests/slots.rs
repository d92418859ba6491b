//! The connections that are evicted or refused when all slots are taken.

use super::*;

#[test]
fn a_client_above_the_limit_is_refused() {
    let port = port_with(|context| {
        context.limits.connections = 2;
        context.limits.slot_timeout = SOON;
    });
    let open = [port.connect(), port.connect()];
    // Clients that are owed an answer cannot be evicted.
    for mut stream in &open {
        stream.write_all(b"add 1 hold\n").unwrap();
    }
    let calls = [port.held(), port.held()];
    assert_eq!(port.ask("rep\n"), "ERR 2 connections are open already\n\n");
    drop(calls);
    drop(open);
    until("a slot is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn idle_http_connections_are_evicted() {
    let port = port_with(|context| context.limits.connections = 2);
    let request = b"GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let [mut kept, mut half] = [port.connect(), port.connect()];
    kept.write_all(request).unwrap();
    kept.read_exact(&mut [0; 15]).unwrap();
    half.write_all(b"GET /rep HTTP/1.1\r\nHost: ").unwrap();
    for _ in 0..20 {
        // Each new client gets the slot of an idle one.
        let mut newcomer = port.connect();
        newcomer.write_all(request).unwrap();
        newcomer.read_exact(&mut [0; 15]).unwrap();
        assert!(port.ask("rep\n").starts_with("N 3"));
    }
    assert!(rest(half).is_empty());
    assert!(rest(kept).ends_with("\n"), "its answer was complete");
}

#[test]
fn the_client_that_was_idle_longest_is_evicted() {
    let port = port_with(|context| context.limits.connections = 3);
    let mut ordering = port.connect();
    ordering.write_all(b"add 1 hold\n").unwrap();
    let call = port.held();
    let [first, mut second] = [port.connect(), port.connect()];
    assert!(port.ask("rep\n").starts_with("N 3"));
    assert_eq!(rest(first), "");
    // That slot is free again, and no other client was evicted.
    second.write_all(b"rep\n").unwrap();
    assert!(rest(second).starts_with("N 3"));
    call.reply.send(Ok(Vec::new())).unwrap();
    assert_eq!(rest(ordering), "N 0\n\n");
}
