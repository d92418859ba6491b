//! A third-party image with one standby on the real engine: the stand-in, its successor, and the
//! containers after the balancer was killed in between.

use crate::support::{
    ContainerImage, Docker, Ringmaster, TEST_TIMEOUT, docker, eventually, inspect,
};

const FLAGS: [&str; 4] = ["--standby", "1", "--replica-env", "FAULTY_FOREIGN=1"];

/// Returns the seat labels of a fleet's containers, without the lock.
fn posts(engine: &Docker) -> Vec<String> {
    let fleet = format!("label=ringmaster.fleet={}", engine.fleet);
    let filters = ["--filter", &fleet, "--filter", "label=ringmaster.seat"];
    let format = ["--format", "{{.Label \"ringmaster.seat\"}}"];
    let list = docker(&[&["ps", "-a"], &filters[..], &format].concat());
    let mut posts: Vec<String> = list.lines().map(str::to_owned).collect();
    posts.sort();
    posts
}

#[track_caller]
fn expect_posts(engine: &Docker, posts_wanted: &[&str]) {
    eventually(
        TEST_TIMEOUT,
        "one for each seat, and one in reserve",
        || posts(engine) == posts_wanted,
    );
}

/// Returns the reasons of the replacements in seat 2, in order.
fn reasons(program: &Ringmaster) -> Vec<String> {
    let events = program.events().into_iter();
    let replaced = events.filter(|event| event["kind"] == "replaced" && event["seat"] == 2);
    let reasons = replaced.map(|event| event["reason"].as_str().unwrap_or_default().to_owned());
    reasons.collect()
}

#[test]
fn an_own_standby_stands_in_until_one_of_the_seat_follows() {
    let Some(engine) = Docker::fleet("own") else {
        return;
    };
    let engine = engine.of(ContainerImage::Faulty);
    let program = engine.balancer(&FLAGS);
    let mut expected = Vec::new();
    for order in ["kill", "pause"] {
        let standby = program.standing_by(1).remove(0);
        docker(&[order, &engine.name(&program.rep()[1])]);
        expected.extend(["from standby", "it stood in"]);
        eventually(TEST_TIMEOUT, "one of the seat's own", || {
            reasons(&program) == expected
        });
        let name = program.rep().remove(1);
        assert_ne!(name, standby);
        let seen = inspect(&engine.name(&name));
        assert_eq!(seen["Config"]["Labels"]["ringmaster.seat"], "2");
        expect_posts(&engine, &["1", "2", "3", "standby"]);
    }
    let added = program.command("add 1 lion");
    assert!(added.starts_with("N 4\n"), "{added}");
    let replaced = program.command("replace lion");
    assert!(!replaced.contains("lion"), "{replaced}");
    expect_posts(&engine, &["1", "2", "3", "4", "standby"]);
    let removed = program.command("rm 1 S1");
    assert!(removed.starts_with("N 3\n"), "{removed}");
    expect_posts(&engine, &["2", "3", "4", "standby"]);
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}

#[test]
fn a_balancer_killed_during_a_stand_in_loses_no_seat_and_doubles_none() {
    let Some(engine) = Docker::fleet("own-killed") else {
        return;
    };
    let engine = engine.of(ContainerImage::Faulty);
    let mut program = engine.balancer(&FLAGS);
    for _ in 0..2 {
        program.standing_by(1);
        docker(&["kill", &engine.name(&program.rep()[1])]);
        program.event("replaced", 2);
        program.kill();
        program = engine.balancer(&FLAGS);
        assert_eq!(program.rep().len(), 3);
        expect_posts(&engine, &["1", "2", "3", "standby"]);
    }
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}
