//! Manual changes to the fleet's containers: restarts, renames, and an address given to another
//! container.

use crate::support::{
    FakeDocker, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, server_of, signal,
    six_digits, stands_still,
};

/// Waits until the fleet is three replicas, of which that in seat 2 is new, three containers and
/// the lock.
#[track_caller]
fn expect_one_successor(engine: &FakeDocker, program: &Ringmaster) {
    program.event("replaced", 2);
    let rep = program.rep();
    assert_eq!((rep.len(), &rep[0][..], &rep[2][..]), (3, "S1", "S3"));
    assert!(rep[1].starts_with("s-"), "{rep:?}");
    eventually(TEST_TIMEOUT, "three containers and the lock", || {
        engine.containers().len() == 4
    });
    let names: Vec<String> = engine
        .containers()
        .into_iter()
        .map(|one| one.name)
        .collect();
    for name in rep.iter().map(String::as_str).chain(["ringmaster-lock"]) {
        assert!(names.iter().any(|other| other == name), "{name}: {names:?}");
    }
}

#[test]
fn a_container_restarted_under_another_address_is_replaced() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&[]);
    // The program is stopped, so that it does not remove the ended container before it is
    // restarted.
    program.signal(Signal::STOP);
    eventually(TEST_TIMEOUT, "its sleep", || stands_still(program.pid()));
    engine.restart("S2");
    program.signal(Signal::CONT);
    program.event("down", 2);
    expect_one_successor(&engine, &program);
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}

#[test]
fn a_renamed_container_is_still_ours() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&[]);
    engine.rename("S2", "mine");
    for _ in 0..2 {
        let lists = || {
            let calls = engine.calls().into_iter();
            calls.filter(|call| call == "GET /containers/json").count()
        };
        let before = lists();
        engine.cut_events();
        eventually(TEST_TIMEOUT, "a list", || lists() > before);
    }
    assert_eq!(program.rep(), ["S1", "S2", "S3"]);
    signal(engine.container("mine").pid.expect("it runs"), Signal::KILL);
    expect_one_successor(&engine, &program);
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}

#[test]
fn an_address_given_to_another_container_is_a_death() {
    let engine = FakeDocker::start();
    let program = engine.balancer(&[]);
    // The program is stopped, so that it does not see the moment in which no container has the
    // address.
    program.signal(Signal::STOP);
    eventually(TEST_TIMEOUT, "its sleep", || stands_still(program.pid()));
    engine.usurp("S2", &["SERVER_ID=9", "REPLICA_NAME=stranger"]);
    program.signal(Signal::CONT);
    let down = program.event("down", 2);
    assert_eq!(down["reason"], "its address is that of stranger in seat 9");
    for number in 0..50 {
        let id = six_digits(number);
        let ask = format!("GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n");
        let text = exchange(program.listen, ask).text();
        let server = server_of(&text).unwrap_or_else(|| panic!("{text}"));
        assert!((1..=3).contains(&server), "{text}");
    }
    expect_one_successor(&engine, &program);
    assert!(program.stop().success());
}
