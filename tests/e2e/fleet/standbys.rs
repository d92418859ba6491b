//! Standbys: a seat whose replica dies is filled by a standby that is already running.

use serde_json::Value;

use super::millis;
use crate::support::{
    Docker, Engine, FakeDocker, Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange_at,
    exclusive_load, is_gone, on_both_engines, server_of, signal,
};

on_both_engines!(
    a_standby_takes_the_seat_of_a_dead_one_and_no_request_fails,
    a_dead_standby_is_followed_by_another,
    a_seat_is_filled_without_a_standby,
);

/// Returns the seat that answers `/home` at the port of this replica, or its other answer.
fn at_home(program: &Ringmaster, name: &str) -> Result<u32, String> {
    let shown = program.command(&format!("show {name} json"));
    let card: Value = serde_json::from_str(&shown).expect("JSON");
    let addr = card["message"]["address"].as_str().expect("an address");
    let reply = exchange_at(
        addr,
        "GET /home HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    server_of(&reply.text()).ok_or_else(|| reply.text())
}

fn a_standby_takes_the_seat_of_a_dead_one_and_no_request_fails(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&["--standby", "1"]);
    let standby = program.standing_by(1).remove(0);
    assert_eq!(program.rep(), ["S1", "S2", "S3"], "it is in no list");
    let unseated = at_home(&program, &standby).expect_err("it has no seat");
    assert!(
        unseated.contains("is a standby and has no seat yet"),
        "{unseated}"
    );

    let load = Load::start(program.listen, 16);
    load.reach(500);
    program.strike(&["S2"], Signal::KILL);
    let replaced = program.event("replaced", 2);
    load.wait_for_one_reply_per_connection();
    load.go_on(500);
    let tally = load.finish();
    println!(
        "{engine:?}: promoted {:.1} ms after the verdict; slowest GET {:?}",
        millis(&replaced, "replaced_after_ms"),
        tally.slowest
    );
    tally.expect_no_failure();
    assert_eq!(
        (&replaced["name"], &replaced["reason"]),
        (&standby.as_str().into(), &"from standby".into())
    );
    assert_eq!(program.rep(), ["S1", &standby, "S3"]);
    assert_eq!(at_home(&program, &standby), Ok(2));
    let next = program.standing_by(1).remove(0);
    assert_ne!(next, standby);
    assert!(
        program
            .command("stats")
            .starts_with("N 3 wanted 3 up 3 standby 1\n")
    );
    let refused = program.command(&format!("drain {next}"));
    assert_eq!(
        refused,
        format!("ERR {next} is a standby and has no seat\n\n")
    );
    let children = program.children();
    assert_eq!(children.len(), 4, "three and a standby");
    assert!(program.stop().success());
    assert!(children.into_iter().all(is_gone));
}

fn a_dead_standby_is_followed_by_another(engine: Engine) {
    let program = engine.start(&["--replicas", "1", "--standby", "2"]);
    let before = program.standing_by(2);
    program.strike(&[&before[0]], Signal::KILL);
    eventually(TEST_TIMEOUT, "another", || {
        let now = program.standbys();
        now.len() == 2 && now.contains(&before[1]) && !now.contains(&before[0])
    });
    let events = program.events();
    let down = events.iter().find(|event| event["kind"] == "down");
    let down = down.expect("it is told");
    assert_eq!(
        (&down["name"], &down["seat"]),
        (&before[0].as_str().into(), &Value::Null)
    );
    assert_eq!(program.rep(), ["S1"]);
}

fn a_seat_is_filled_without_a_standby(engine: Engine) {
    let program = engine.start(&["--replicas", "3", "--standby", "1"]);
    let standby = program.standing_by(1).remove(0);
    program.strike(&["S1", "S3"], Signal::KILL);
    let (one, three) = (program.event("replaced", 1), program.event("replaced", 3));
    let promoted = [one, three]
        .iter()
        .filter(|event| event["name"] == standby.as_str())
        .count();
    assert_eq!(promoted, 1);
    program.standing_by(1);
    for (name, seat) in program.rep().iter().zip(1..) {
        assert_eq!(at_home(&program, name), Ok(seat));
    }
}

#[test]
fn a_promoted_standby_keeps_its_seat_when_the_balancer_is_killed() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "2", "--standby", "1"]);
    let promoted = program.standing_by(1).remove(0);
    let label = &engine.container(&promoted).labels["ringmaster.seat"];
    assert_eq!(label, "standby");
    signal(engine.container("S2").pid.expect("it runs"), Signal::KILL);
    program.event("replaced", 2);
    let next = program.standing_by(1).remove(0);
    program.kill();
    let program = engine.balancer(&["--standby", "1"]);
    let mut rep = program.rep();
    rep.sort();
    assert_eq!(rep, ["S1", &promoted]);
    assert_eq!(at_home(&program, &promoted), Ok(2));
    assert_eq!(program.standing_by(1), [next]);
}

/// A standby that took seat 2, and has died with the balancer: only the record that it wrote itself
/// shows its seat.
#[test]
fn a_promoted_standbys_seat_outlives_both() {
    let test = "a_promoted_standbys_seat_outlives_both";
    let Some(docker) = Docker::fleet(test) else {
        return;
    };
    let program = docker.balancer(&["--replicas", "2", "--standby", "1"]);
    let promoted = program.standing_by(1).remove(0);
    docker.kill(&["S2"], Signal::KILL);
    program.event("replaced", 2);
    let next = program.standing_by(1).remove(0);
    eventually(
        TEST_TIMEOUT,
        "the dead container is removed: two, a standby and the lock",
        || docker.containers().len() == 4,
    );
    program.kill();
    docker.kill(&[&promoted], Signal::KILL);
    let program = docker.balancer(&["--standby", "1"]);
    let down = program.event("down", 2);
    assert_eq!(down["name"], promoted.as_str());
    assert_eq!(
        program.event("joined", 2)["name"],
        next.as_str(),
        "it is warm"
    );
    assert_eq!(program.rep().len(), 2);
    assert!(program.stop().success());
}
