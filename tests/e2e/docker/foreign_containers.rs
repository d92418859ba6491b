//! Foreign containers are at most inspected.

use crate::support::{
    FakeDocker, FaultMode, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, signal,
};

fn add(program: &Ringmaster, body: &str) -> (u16, String) {
    let length = body.len();
    let reply = exchange(
        program.control,
        format!("POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"),
    );
    (reply.status(), reply.text())
}

/// Fails the test unless the container with this ID runs and was only read.
#[track_caller]
fn expect_untouched(engine: &FakeDocker, id: &str) {
    let touched: Vec<String> = engine
        .calls()
        .into_iter()
        .filter(|call| call.contains(id) && !call.starts_with("GET "))
        .collect();
    assert!(touched.is_empty(), "{touched:?}");
    let all = engine.containers();
    let found = all.iter().find(|one| one.id == id).expect("still there");
    assert!(found.pid.is_some(), "it does not run any more");
}

#[test]
fn no_foreign_container_is_ever_touched() {
    let engine = FakeDocker::start();
    let name = [("ringmaster.name", "S9"), ("ringmaster.seat", "9")];
    let strangers = [
        engine.foreign("S2", &[]),
        engine.foreign("s-stranger", &name),
        engine.foreign(
            "other-S1",
            &[&name[..], &[("ringmaster.fleet", "other")]].concat(),
        ),
        engine.foreign("web", &[("com.docker.compose.project", "ringmaster")]),
    ];
    let program = engine.balancer(&[]);
    let rep = program.rep();
    assert_eq!((&rep[0][..], &rep[2][..]), ("S1", "S3"));
    assert!(rep[1].starts_with("s-"), "S2 is a stranger's: {rep:?}");
    assert!(
        program.log().contains("has the name of S2"),
        "{}",
        program.log()
    );

    let (status, text) = add(&program, r#"{"n":2,"hostnames":["S7","web"]}"#);
    assert_eq!(status, 400, "{text}");
    assert!(
        text.contains("<Error> the name web is taken by a container that is not ours"),
        "{text}"
    );
    assert_eq!(program.rep(), rep, "all or nothing");
    assert_eq!(engine.containers().len(), 4 + 3 + 1);

    signal(engine.container("S1").pid.expect("it runs"), Signal::KILL);
    program.event("replaced", 1);
    assert!(program.stop().success());
    for stranger in &strangers {
        expect_untouched(&engine, &stranger.id);
    }
    assert_eq!(
        engine.containers().len(),
        strangers.len(),
        "nothing of ours is left"
    );
}

#[test]
fn a_name_that_is_taken_meanwhile_costs_the_seat_its_name() {
    let engine = FakeDocker::start();
    let mut taken = Vec::new();
    // The foreign container appears after the list and before the containers are created.
    engine.inject(
        "POST /containers/create",
        FaultMode::Slow(std::time::Duration::from_millis(1_000)),
        2,
    );
    let program = engine.launch(&["--replicas", "1"]);
    taken.push(engine.foreign("S1", &[]));
    let program = program.ready();
    let rep = program.rep();
    assert!(rep[0].starts_with("s-"), "{rep:?}");
    eventually(TEST_TIMEOUT, "an event that says why", || {
        program
            .events()
            .iter()
            .any(|event| event["kind"] == "failed")
    });
    assert!(program.stop().success());
    expect_untouched(&engine, &taken[0].id);
}

#[test]
fn a_surplus_container_of_ours_is_removed_after_a_while() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&[]);
    engine.foreign(
        "lost",
        &[("ringmaster.fleet", "ringmaster"), ("ringmaster.seat", "8")],
    );
    for _ in 0..2 {
        engine.cut_events();
        eventually(TEST_TIMEOUT, "a list or two", || {
            let lists = engine.calls();
            lists
                .iter()
                .filter(|call| **call == "GET /containers/json")
                .count()
                > 3
        });
    }
    eventually(2 * TEST_TIMEOUT, "its removal", || {
        !engine.containers().iter().any(|one| one.name == "lost")
    });
    assert_eq!(program.rep(), ["S1", "S2", "S3"]);
}

#[test]
fn a_name_that_no_container_can_have_is_a_bad_order() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&["--replicas", "1"]);
    engine.inject("POST /containers/create", FaultMode::Status(400), 1);
    let (status, text) = add(&program, r#"{"n":1,"hostnames":["a"]}"#);
    assert_eq!(status, 400, "{text}");
    assert!(
        text.contains("<Error> the name a is too short for a container"),
        "{text}"
    );
}
