//! Replicas that stop and fall silent: they are bypassed, replaced and killed, unless they answer
//! in time.

use std::time::{Duration, Instant};

use super::millis;
use crate::support::{
    Engine, Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exclusive_load, is_gone,
    on_both_engines, server_of, signal, six_digits,
};

on_both_engines!(
    a_stopped_replica_is_replaced_and_no_request_fails,
    a_replica_that_recovers_before_the_last_miss_is_left_alone,
);

fn a_stopped_replica_is_replaced_and_no_request_fails(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&[]);
    let victim = program.replica("S3");
    let load = Load::start(program.listen, 16);
    load.reach(1_000);
    program.strike(&["S3"], Signal::STOP);
    let down = program.event("down", 3);
    let replaced = program.event("replaced", 3);
    load.go_on(1_000);
    let tally = load.finish();
    println!(
        "stopped: detected within {:.0} ms, replaced after {:.1} ms; slowest GET {:?}",
        millis(&down, "detected_within_ms"),
        millis(&replaced, "replaced_after_ms"),
        tally.slowest
    );
    tally.expect_no_failure();
    assert_eq!(replaced["before"], "S3");
    let rep = program.rep();
    assert_eq!(
        (rep.len(), &rep[..2]),
        (3, &["S1".to_owned(), "S2".to_owned()][..])
    );
    eventually(TEST_TIMEOUT, "the stopped process is gone", || {
        is_gone(victim)
    });
    eventually(TEST_TIMEOUT, "no process too many", || {
        program.children().len() == 3
    });
    assert!(
        tally.by_server.keys().copied().eq(1..=3),
        "{:?}",
        tally.by_server
    );
}

fn a_replica_that_recovers_before_the_last_miss_is_left_alone(engine: Engine) {
    // Dead after 15 seconds of silence at the earliest; it is silent for a few.
    let flags = ["--heartbeat-timeout", "5s", "--heartbeat-interval", "50ms"];
    let program = engine.start(&flags);
    let before = (program.rep(), program.children());
    program.strike(&["S2"], Signal::STOP);
    let mut clients: Vec<_> = (0..12)
        .map(|number| {
            let mut client = program.client();
            let id = six_digits(number);
            client.send(format!(
                "GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n"
            ));
            client
        })
        .collect();
    // Half of a second is no time for three misses, and enough to see that it is silent.
    let end = Instant::now() + HALF;
    let waits = clients.iter_mut().map(|client| {
        let left = end.saturating_duration_since(Instant::now());
        !client.has_bytes_within(left.max(Duration::from_millis(1)))
    });
    let silent: Vec<bool> = waits.collect();
    program.strike(&["S2"], Signal::CONT);
    let servers = clients
        .iter_mut()
        .map(|client| server_of(&client.reply().text()));
    let of_the_victim: Vec<bool> = servers
        .zip(silent)
        .filter_map(|(server, silent)| (server == Some(2)).then_some(silent))
        .collect();
    // Others may be slow too, on a busy machine.
    assert!(
        !of_the_victim.is_empty() && of_the_victim.iter().all(|silent| *silent),
        "{of_the_victim:?}"
    );
    assert_eq!((program.rep(), program.children()), before);
    let kinds = program.events();
    assert!(
        kinds.iter().all(|event| event["kind"] != "down"),
        "{kinds:?}"
    );
}

#[test]
fn a_replica_that_recovers_before_its_successor_keeps_the_seat() {
    let install = crate::support::InstallDir::with_replica(
        "case $REPLICA_NAME in s-*) exec sleep 1000;; esac\nexec \"$REAL\"",
    );
    let program = Ringmaster::launch(install.program(), &["--replicas", "2"]);
    eventually(TEST_TIMEOUT, "2 replicas", || program.rep().len() == 2);
    let victim = program.replica("S1");
    signal(victim, Signal::STOP);
    program.event("down", 1);
    assert_eq!(program.rep(), ["S2"]);
    eventually(TEST_TIMEOUT, "a successor is being started", || {
        program.children().len() == 3
    });
    signal(victim, Signal::CONT);
    program.event("up", 1);
    assert_eq!(program.rep(), ["S1", "S2"]);
    eventually(TEST_TIMEOUT, "the successor is gone", || {
        program.children().len() == 2
    });
    assert_eq!(program.replica("S1"), victim);
}

const HALF: Duration = Duration::from_millis(500);
