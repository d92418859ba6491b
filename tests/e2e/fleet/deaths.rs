//! Replicas that are killed under load: no client notices, and a successor takes the same seat.

use std::time::Duration;

use super::millis;
use crate::support::{
    Engine, Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exclusive_load, is_gone,
    on_both_engines, server_of, six_digits,
};

on_both_engines!(
    a_killed_replica_is_replaced_in_its_seat_and_no_request_fails,
    the_only_replica_can_die_and_clients_wait_for_the_next,
    all_can_die_at_once,
    an_end_by_sigterm_is_a_death_like_any_other,
    a_seat_that_dies_again_and_again_is_filled_every_time,
);

/// Returns the seat that answers this ID.
#[track_caller]
fn home(program: &Ringmaster, id: u64) -> u32 {
    let ask = format!("GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n");
    let text = program.client().ask(ask).text();
    server_of(&text).unwrap_or_else(|| panic!("{text}"))
}

fn a_killed_replica_is_replaced_in_its_seat_and_no_request_fails(engine: Engine) {
    let _turn = exclusive_load();
    // With a bound, whose load others took over meanwhile would pass some of its own on.
    let program = engine.start(&["--bound", "0"]);
    let ids: Vec<u64> = (0..20).map(six_digits).collect();
    let homes = || -> Vec<u32> { ids.iter().map(|id| home(&program, *id)).collect() };
    let before = homes();
    let victim = program.replica("S2");

    let load = Load::start(program.listen, 64);
    load.reach(2_000);
    program.strike(&["S2"], Signal::KILL);
    let down = program.event("down", 2);
    let replaced = program.event("replaced", 2);
    load.reach(10_000);
    load.go_on(200);
    let tally = load.finish();
    println!(
        "killed: detected within {:.1} ms, replaced after {:.1} ms; slowest GET {:?}",
        millis(&down, "detected_within_ms"),
        millis(&replaced, "replaced_after_ms"),
        tally.slowest
    );
    tally.expect_no_failure();

    assert_eq!(
        (&down["name"], &down["up"], &down["wanted"]),
        (&"S2".into(), &2.into(), &3.into())
    );
    assert_eq!(
        (&replaced["before"], &replaced["up"]),
        (&"S2".into(), &3.into())
    );
    let reason = down["reason"].as_str().unwrap_or_default();
    assert!(!reason.is_empty(), "{down}");
    let rep = program.rep();
    assert_eq!((rep.len(), &rep[0][..], &rep[2][..]), (3, "S1", "S3"));
    assert!(
        rep[1].starts_with("s-") && replaced["name"] == rep[1].as_str(),
        "{rep:?}"
    );
    assert_eq!(homes(), before);
    let successor = program.replica(&rep[1]);
    assert!(successor != victim && is_gone(victim));
    let answer = program.command("events");
    assert!(
        answer.contains("detected within ") && answer.contains(" ms after its death"),
        "{answer}"
    );
    program.expect_log("replica S2 is down: ");
}

fn the_only_replica_can_die_and_clients_wait_for_the_next(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&["--replicas", "1", "--seat-wait", "15s"]);
    let load = Load::start(program.listen, 16);
    for round in 1..=3 {
        load.go_on(300);
        let name = program.rep().remove(0);
        program.strike(&[&name], Signal::KILL);
        eventually(TEST_TIMEOUT, "a successor", || {
            let replaced = program
                .events()
                .into_iter()
                .filter(|e| e["kind"] == "replaced");
            replaced.count() == round
        });
        load.go_on(300);
        // A request lost with this replica must not be lost with the next: it would not go to a
        // third.
        load.wait_for_one_reply_per_connection();
    }
    let tally = load.finish();
    println!(
        "the only one killed three times: slowest GET {:?}",
        tally.slowest
    );
    tally.expect_no_failure();
    assert_eq!(tally.by_server.keys().collect::<Vec<_>>(), [&1]);
}

fn all_can_die_at_once(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&["--seat-wait", "15s"]);
    let load = Load::start(program.listen, 16);
    load.reach(500);
    assert_eq!(program.children().len(), 3);
    program.strike(&["S1", "S2", "S3"], Signal::KILL);
    for seat in 1..=3 {
        program.event("replaced", seat);
    }
    load.go_on(500);
    let tally = load.finish();
    let failed = tally.failures.len();
    println!(
        "all three killed at once: slowest GET {:?}, {failed} lost by two",
        tally.slowest
    );
    // A request lost with two replicas may have killed them: it is not sent to a third. Nothing
    // else fails, and each connection has at most one such request in flight.
    let lost_by_two = |failure: &String| failure.contains("502 Bad Gateway");
    assert!(
        tally.failures.iter().all(lost_by_two) && failed <= 16,
        "{:?}",
        tally.failures
    );
    let rep = program.rep();
    assert!(
        rep.len() == 3 && rep.iter().all(|name| name.starts_with("s-")),
        "{rep:?}"
    );
    assert_eq!(program.children().len(), 3);
}

fn an_end_by_sigterm_is_a_death_like_any_other(engine: Engine) {
    let program = engine.start(&["--replicas", "2"]);
    program.strike(&["S1"], Signal::TERM);
    let down = program.event("down", 1);
    let replaced = program.event("replaced", 1);
    assert_eq!(
        (&down["name"], &replaced["before"]),
        (&"S1".into(), &"S1".into())
    );
    assert_eq!(program.rep()[1], "S2");
}

fn a_seat_that_dies_again_and_again_is_filled_every_time(engine: Engine) {
    let program = engine.start(&["--replicas", "2"]);
    for death in 1..=5 {
        let name = program.rep().remove(1);
        program.strike(&[&name], Signal::KILL);
        eventually(Duration::from_secs(10), "a successor", || {
            let rep = program.rep();
            rep.len() == 2 && rep[1] != name
        });
        assert_eq!(program.rep()[0], "S1", "death {death}");
    }
    assert_eq!(program.children().len(), 2);
}
