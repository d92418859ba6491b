//! A signal to the old process while it answers what it has begun: the replicas are the new one's.

use crate::support::{
    Client, Engine, PATIENCE, Ringmaster, Signal, eventually, is_gone, on_both_engines,
};

on_both_engines!(a_signal_to_the_old_one_takes_no_replica_of_the_new_one_along,);

/// A client whose request does not end, so that this balancer drains and does not end.
fn unfinished(program: &Ringmaster) -> Client {
    let mut client = Client::connect(program.listen);
    let reply = client.ask("GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200, "it was let in");
    client.send("POST /home HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1");
    eventually(PATIENCE, "a request in flight", || {
        let shown = program.command("show");
        shown.lines().any(|line| line.trim_end().ends_with(" 1"))
    });
    client
}

fn a_signal_to_the_old_one_takes_no_replica_of_the_new_one_along(engine: Engine) {
    let mut first = engine.start(&["--replicas", "2"]);
    let client = unfinished(&first);
    let second = first.taken_over(&[]);
    first.expect_log("draining");
    let replicas = second.children();
    first.signal(Signal::TERM);
    assert!(!first.wait().success(), "{}", first.log());
    drop(client);
    // It takes longer than the end of a replica that is asked to end.
    assert!(second.command("add 1 lion").starts_with("N 3\n"));
    let events = second.events();
    assert!(
        events.iter().all(|event| event["kind"] != "down"),
        "{events:?}"
    );
    assert!(!replicas.iter().any(|pid| is_gone(*pid)));
}
