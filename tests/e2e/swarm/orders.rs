//! Orders: each is one change of the service, which every balancer follows.

use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};

use super::following::expect_list;
use crate::support::{FakeDocker, Load, Ringmaster, TEST_TIMEOUT, eventually, exchange};

/// Returns an engine with a service of two tasks, which carries orders out, and a balancer of it.
#[track_caller]
pub(super) fn two_slots() -> (FakeDocker, Ringmaster) {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2]);
    engine.obeys();
    let program = engine.follower(&[]);
    (engine, program)
}

/// Returns the number of tasks that the service wants.
pub(super) fn wanted(engine: &FakeDocker) -> u64 {
    let replicas = &engine.service()["Spec"]["Mode"]["Replicated"]["Replicas"];
    replicas.as_u64().expect("a number")
}

fn label(engine: &FakeDocker, name: &str) -> Value {
    engine.service()["Spec"]["Labels"][name].clone()
}

/// Returns the hash of the ring that a balancer has.
fn ring_hash(program: &Ringmaster) -> String {
    let ring: Value = serde_json::from_str(&program.command("ring json")).expect("JSON");
    ring["message"]["hash"].as_str().expect("a hash").to_owned()
}

#[track_caller]
pub(super) fn expect_error(program: &Ringmaster, command: &str, sentence: &str) {
    let answer = program.command(command);
    assert!(
        answer.starts_with("ERR ") && answer.contains(sentence),
        "{command}: {answer}"
    );
}

#[test]
fn orders_at_two_balancers_add_up_and_both_follow() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2]);
    engine.obeys();
    let (here, there) = (engine.follower(&[]), engine.follower(&[]));
    let load = [&here, &there].map(|program| Load::start(program.listen, 2));
    let (sender, answers) = mpsc::channel();
    thread::scope(|scope| {
        for program in [&here, &there] {
            for command in ["add 1", "add 2"] {
                let sender = sender.clone();
                scope.spawn(move || sender.send(program.command(command)));
            }
        }
    });
    for answer in answers.iter().take(4) {
        assert!(answer.starts_with("N "), "{answer}");
    }
    let eight = ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8"];
    for program in [&here, &there] {
        expect_list(program, &eight);
    }
    assert_eq!(wanted(&engine), 8);
    assert_eq!(ring_hash(&here), ring_hash(&there));
    let answer = here.command("scale 3");
    assert_eq!(answer, "N 3\nS1\nS2\nS3\n\n");
    expect_list(&there, &["S1", "S2", "S3"]);
    let answer = there.command("rm 1");
    assert_eq!(answer, "N 2\nS1\nS2\n\n");
    expect_list(&here, &["S1", "S2"]);
    for load in load {
        load.go_on(100);
        load.finish().expect_no_failure();
    }
}

#[test]
fn the_documented_request_adds_the_next_slots_by_name() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2, 3]);
    engine.obeys();
    let program = engine.follower(&[]);
    let post = |path: &str, body: Value| {
        let body = body.to_string();
        let head = format!("Host: localhost\r\nContent-Length: {}", body.len());
        exchange(
            program.control,
            format!("{path} HTTP/1.1\r\n{head}\r\n\r\n{body}"),
        )
    };
    let answer = post("POST /add", json!({"n": 2, "hostnames": ["S4", "S5"]}));
    assert_eq!(answer.status(), 200);
    assert_eq!(program.rep(), ["S1", "S2", "S3", "S4", "S5"]);
    let answer = post("POST /add", json!({"n": 1, "hostnames": ["web"]}));
    assert_eq!(answer.status(), 400);
    let sentence = "<Error> the next replicas of a swarm are named S6";
    assert!(answer.text().contains(sentence), "{answer:?}");
    let answer = post("DELETE /rm", json!({"n": 1, "hostnames": ["S5"]}));
    assert_eq!(answer.status(), 400);
    let sentence = "<Error> a swarm chooses itself which replicas go: leave the names out";
    assert!(answer.text().contains(sentence), "{answer:?}");
    assert_eq!(wanted(&engine), 5);
}

#[test]
fn settings_stand_in_the_service_and_hold_for_a_balancer_that_comes_later() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2, 3]);
    let (here, there) = (engine.follower(&[]), engine.follower(&[]));
    for command in ["ring set rendezvous", "bound 1.25", "weight S2 4"] {
        let answer = here.command(command);
        assert!(!answer.starts_with("ERR "), "{command}: {answer}");
    }
    assert_eq!(label(&engine, "ringmaster.ring"), "rendezvous");
    assert_eq!(label(&engine, "ringmaster.bound"), "1.25");
    assert_eq!(label(&engine, "ringmaster.weights"), "2=4");
    eventually(TEST_TIMEOUT, "one ring", || {
        ring_hash(&here) == ring_hash(&there)
    });
    let later = engine.follower(&["--ring", "classic"]);
    assert_eq!(ring_hash(&later), ring_hash(&here));
    let events = there.events();
    let ring = events.iter().find(|event| event["kind"] == "ring");
    let ring = ring.expect("the event of the other balancer");
    assert_eq!(
        (&ring["to"], &ring["by"]),
        (&json!("rendezvous"), &json!(null))
    );
    // Another hand writes what no balancer can read: all have the ring of their flags.
    engine.edit_service(|service| service["Spec"]["Labels"]["ringmaster.ring"] = json!("square"));
    here.expect_log("label ringmaster.ring has no effect");
    eventually(TEST_TIMEOUT, "one ring", || {
        ring_hash(&here) == ring_hash(&there)
    });
    eventually(TEST_TIMEOUT, "the ring of the flags", || {
        here.command("ring").contains("uniform")
    });
}

#[test]
fn a_drain_at_one_balancer_holds_at_all_of_them() {
    let engine = FakeDocker::start();
    let first = engine.start_task(1);
    engine.start_task(2);
    engine.wants(2);
    let (here, there) = (engine.follower(&[]), engine.follower(&[]));
    let answer = here.command("drain S1");
    assert!(!answer.starts_with("ERR "), "{answer}");
    assert_eq!(label(&engine, "ringmaster.drained"), first.as_str());
    there.event("drained", 1);
    // The mark of a task that is gone goes with the next order.
    engine.ends_task(&first, "shutdown");
    let second = engine.start_task(1);
    here.event("moved", 1);
    there.event("moved", 1);
    let answer = here.command("drain S1");
    assert!(!answer.starts_with("ERR "), "{answer}");
    assert_eq!(label(&engine, "ringmaster.drained"), second.as_str());
    let answer = there.command("ready S1");
    assert!(!answer.starts_with("ERR "), "{answer}");
    assert_eq!(label(&engine, "ringmaster.drained"), json!(null));
    here.event("ready", 1);
}

#[test]
fn a_replacement_is_a_forced_update_of_the_service() {
    let (engine, program) = two_slots();
    let load = Load::start(program.listen, 4);
    load.reach(50);
    let answer = program.command("replace all web:2");
    assert_eq!(answer, "N 2\nS1\nS2\n\n");
    let template = engine.service()["Spec"]["TaskTemplate"].clone();
    assert_eq!(template["ForceUpdate"], 1);
    assert_eq!(template["ContainerSpec"]["Image"], "web:2");
    let moved = program.events();
    let moved = moved.iter().filter(|event| event["kind"] == "moved");
    assert_eq!(moved.count(), 2);
    load.go_on(50);
    load.finish().expect_no_failure();
    expect_error(
        &program,
        "replace S1",
        "a swarm replaces all or none: replace all",
    );
    expect_error(
        &program,
        "replace stop",
        "the swarm keeps no former version",
    );
    // Its node is our own.
    let answer = program.command("kill S1");
    assert!(!answer.starts_with("ERR "), "{answer}");
    program.event("down", 1);
}

#[test]
fn every_field_of_the_service_survives_an_order() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2]);
    engine.obeys();
    let rich = json!({
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000_u64},
        "Image": "web:1", "Unknown": {"Future": [null, 1.5, -7, 18_446_744_073_709_551_615_u64]},
    });
    engine.edit_service(|service| {
        service["Spec"]["TaskTemplate"]["ContainerSpec"] = rich.clone();
        service["Spec"]["TaskTemplate"]["Networks"][0]["Aliases"] = json!(["web"]);
        service["Spec"]["Labels"] = json!({"owner": "ops"});
        service["Spec"]["Later"] = json!({"x": []});
    });
    let program = engine.follower(&[]);
    let mut before = engine.service()["Spec"].clone();
    assert_eq!(program.command("add 1"), "N 3\nS1\nS2\nS3\n\n");
    let mut after = engine.service()["Spec"].clone();
    before["Mode"]["Replicated"]["Replicas"] = json!(3);
    let mark = after["Labels"]
        .as_object_mut()
        .expect("labels")
        .remove("ringmaster.order");
    assert!(mark.is_some());
    assert_eq!(after, before);
}
