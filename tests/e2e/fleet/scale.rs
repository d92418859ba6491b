//! Growing and shrinking: no request fails under load, and a leaving replica finishes its requests.

use std::time::Duration;

use crate::support::{
    Backend, Client, Engine, Load, Ringmaster, Signal, exclusive_load, is_gone, on_both_engines,
    server_of, six_digits,
};

on_both_engines!(
    three_come_and_three_go_and_no_request_fails,
    a_kill_by_order_is_a_fault_that_no_client_sees,
    a_removed_replica_finishes_its_requests,
    a_removed_replica_ends_at_the_drain_timeout,
    a_removed_replica_that_falls_silent_delays_no_client,
);

fn three_come_and_three_go_and_no_request_fails(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&[]);
    let load = Load::start(program.listen, 16);
    load.reach(500);
    assert_eq!(
        program.command("add 3 A B C"),
        "N 6\nS1\nS2\nS3\nA\nB\nC\n\n"
    );
    load.go_on(1_000);
    assert_eq!(program.command("rm 3 C S1 A"), "N 3\nS2\nS3\nB\n\n");
    load.go_on(500);
    let more = program.command("rm 1 B; add 2 D E; rm 2 S2 S3");
    assert_eq!(more, "N 2\nS2\nS3\n\nN 4\nS2\nS3\nD\nE\n\nN 2\nD\nE\n\n");
    load.go_on(500);
    let tally = load.finish();
    println!("add 3, rm 3 under load: slowest GET {:?}", tally.slowest);
    tally.expect_no_failure();
    let new = tally.by_server.range(4..).count();
    assert_eq!(new, 3, "not all new ones served: {:?}", tally.by_server);
    assert_eq!(program.children().len(), 2);
}

fn a_kill_by_order_is_a_fault_that_no_client_sees(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&["--name-pattern", "server{}"]);
    let victim = program.replica("server2");
    let load = Load::start(program.listen, 16);
    load.reach(200);
    let answer = program.command("kill server2");
    assert_eq!(answer, "N 3\nserver1\nserver2\nserver3\n\n");
    program.event("replaced", 2);
    assert!(is_gone(victim));
    load.go_on(200);
    load.finish().expect_no_failure();
    assert!(program.command("kill server2").starts_with("ERR "));
    assert_eq!(program.command("rm all"), "N 0\n\n");
    program.expect_log("order rm all from ");
}

#[test]
fn fixed_backends_are_not_killed() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let named = format!("a={}", backend.addr);
    let program = Ringmaster::start(&["--backend", &named]);
    assert_eq!(
        program.command("kill a"),
        "ERR fixed backends are neither started nor stopped\n\n"
    );
}

/// Starts a program whose replica in seat 2 was stopped while it had this request, and is still up.
pub(super) fn with_a_request_in_flight(engine: Engine, args: &[&str]) -> (Ringmaster, u32, Client) {
    let timeout = ["--heartbeat-timeout", "10s"];
    let given = args.contains(&timeout[0]);
    let timeout = if given { &[] } else { &timeout[..] };
    let program = engine.start(&[timeout, args].concat());
    let of_seat_2 = |id: &u64| {
        let reply = program.client().ask(with_id(*id));
        server_of(&reply.text()) == Some(2)
    };
    let id = (0..100).map(six_digits).find(of_seat_2).expect("an ID");
    let victim = program.replica("S2");
    program.strike(&["S2"], Signal::STOP);
    let mut client = program.client();
    client.send(with_id(id));
    assert!(!client.has_bytes_within(Duration::from_millis(50)));
    (program, victim, client)
}

pub(super) fn with_id(id: u64) -> String {
    format!("GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n")
}

fn a_removed_replica_finishes_its_requests(engine: Engine) {
    let (program, victim, mut client) = with_a_request_in_flight(engine, &[]);
    let mut order = Client::connect(program.control);
    order.send("rm 1 S2\n");
    // The order waits: the leaving replica is still listed, and alive, but off the ring.
    assert!(!order.has_bytes_within(Duration::from_millis(100)));
    // The line is written when every worker has the ring without it.
    program.expect_log("replica S2 leaves seat 2");
    assert_eq!(program.rep(), ["S1", "S2", "S3"]);
    assert!(!is_gone(victim));
    for id in (0..40).map(six_digits) {
        let text = program.client().ask(with_id(id)).text();
        assert_ne!(server_of(&text), Some(2), "{id}");
    }
    program.strike(&["S2"], Signal::CONT);
    assert_eq!(server_of(&client.reply().text()), Some(2));
    assert_eq!(order.rest(), b"N 2\nS1\nS3\n\n");
    assert!(is_gone(victim));
}

fn a_removed_replica_ends_at_the_drain_timeout(engine: Engine) {
    let (program, victim, mut client) =
        with_a_request_in_flight(engine, &["--drain-timeout", "200ms"]);
    assert_eq!(program.command("rm 1 S2"), "N 2\nS1\nS3\n\n");
    assert!(is_gone(victim));
    // Its request can be retried elsewhere.
    let server = server_of(&client.reply().text());
    assert!(matches!(server, Some(1 | 3)), "{server:?}");
}

fn a_removed_replica_that_falls_silent_delays_no_client(engine: Engine) {
    // Longer than anything here is waited for.
    let quick = ["--heartbeat-timeout", "200ms", "--drain-timeout", "60s"];
    let (program, victim, mut client) = with_a_request_in_flight(engine, &quick);
    assert_eq!(program.command("rm 1 S2"), "N 2\nS1\nS3\n\n");
    assert!(is_gone(victim));
    let server = server_of(&client.reply().text());
    assert!(matches!(server, Some(1 | 3)), "{server:?}");
}
