//! Who has a place when all are taken, and who makes room.

use super::*;

#[test]
fn one_client_too_many_is_told_so() {
    let port = port_with(|context| {
        context.limits.connections = 2;
        context.limits.place_timeout = SOON;
    });
    let open = [port.connect(), port.connect()];
    // Answers that are owed: these clients are not silent.
    for mut stream in &open {
        stream.write_all(b"add 1 hold\n").unwrap();
    }
    let calls = [port.held(), port.held()];
    assert_eq!(port.ask("rep\n"), "ERR 2 connections are open already\n\n");
    drop(calls);
    drop(open);
    until("a place is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn http_between_requests_and_before_a_whole_head_makes_room() {
    let port = port_with(|context| context.limits.connections = 2);
    let request = b"GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let [mut kept, mut half] = [port.connect(), port.connect()];
    kept.write_all(request).unwrap();
    kept.read_exact(&mut [0; 15]).unwrap();
    half.write_all(b"GET /rep HTTP/1.1\r\nHost: ").unwrap();
    for _ in 0..20 {
        // Each is answered in the place of one who is silent, and the next in that of the other.
        let mut newcomer = port.connect();
        newcomer.write_all(request).unwrap();
        newcomer.read_exact(&mut [0; 15]).unwrap();
        assert!(port.ask("rep\n").starts_with("N 3"));
    }
    assert!(rest(half).is_empty());
    assert!(rest(kept).ends_with("\n"), "its answer was whole");
}

#[test]
fn who_has_been_silent_longest_makes_room() {
    let port = port_with(|context| context.limits.connections = 3);
    let mut spoken = port.connect();
    spoken.write_all(b"add 1 hold\n").unwrap();
    let call = port.held();
    let [first, mut second] = [port.connect(), port.connect()];
    assert!(port.ask("rep\n").starts_with("N 3"));
    assert_eq!(rest(first), "");
    // That place is free again; nobody else had to go.
    second.write_all(b"rep\n").unwrap();
    assert!(rest(second).starts_with("N 3"));
    call.reply.send(Ok(Vec::new())).unwrap();
    assert_eq!(rest(spoken), "N 0\n\n");
}
