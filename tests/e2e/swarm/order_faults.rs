//! Orders to a swarm that is slow, refuses, has no leader, or is changed by others: each is made
//! once, or its answer says that nothing has changed or that this is unknown.

use serde_json::json;

use super::orders::{expect_error, two_slots, wanted};
use crate::support::FaultMode;

const UPDATE: &str = "POST /services/s1/update";
const UNCLEAR: &str = "the swarm gave no clear answer, so the order may have been carried out";
const SERVICE: &str = "GET /services/s1";

#[test]
fn a_change_that_came_first_is_read_and_the_order_made_after_it() {
    let (engine, program) = two_slots();
    engine.inject(UPDATE, FaultMode::Stale, 1);
    assert_eq!(program.command("add 1"), "N 3\nS1\nS2\nS3\n\n");
    // It never comes through.
    engine.inject(UPDATE, FaultMode::Stale, usize::MAX);
    expect_error(
        &program,
        "add 1",
        "others are changing the service; try again",
    );
    engine.clear_faults();
    assert_eq!(wanted(&engine), 3);
}

#[test]
fn a_write_without_an_answer_is_made_once() {
    let (engine, program) = two_slots();
    engine.inject(UPDATE, FaultMode::DoneInSilence, 1);
    assert_eq!(program.command("add 1"), "N 3\nS1\nS2\nS3\n\n");
    assert_eq!(wanted(&engine), 3);
    // Another order hides whether it was made.
    engine.inject(UPDATE, FaultMode::Usurped, 1);
    expect_error(&program, "add 1", UNCLEAR);
    assert_eq!(wanted(&engine), 4);
    // A refusal that follows does not make a write clear that had no clear answer.
    engine.inject(UPDATE, FaultMode::Status(500), 1);
    engine.inject(UPDATE, FaultMode::Stale, 1);
    expect_error(&program, "add 1", UNCLEAR);
    assert_eq!(wanted(&engine), 4);
}

#[test]
fn an_update_that_the_swarm_has_stopped_is_not_resumed_by_another_order() {
    let (engine, program) = two_slots();
    engine.edit_service(|service| service["UpdateStatus"] = json!({"State": "paused"}));
    let before = engine.service();
    for command in ["bound 1.25", "scale 3", "drain S1"] {
        let sentence = "the swarm has stopped an update of the service";
        expect_error(&program, command, sentence);
    }
    assert_eq!(engine.service(), before);
    engine.edit_service(|service| service["UpdateStatus"] = json!({"State": "completed"}));
    assert_eq!(program.command("scale 3"), "N 3\nS1\nS2\nS3\n\n");
}

#[test]
fn a_slow_engine_delays_an_order_and_does_not_refuse_it() {
    let (engine, program) = two_slots();
    engine.inject("GET /networks", FaultMode::Held, 1);
    assert_eq!(program.command("add 1"), "N 3\nS1\nS2\nS3\n\n");
    engine.clear_faults();
}

#[test]
fn an_order_without_a_leader_changes_nothing_and_says_so() {
    let (engine, program) = two_slots();
    engine.inject(SERVICE, FaultMode::Status(503), usize::MAX);
    let sentence = "the swarm has no leader: nothing can be changed now";
    expect_error(&program, "add 1", sentence);
    engine.clear_faults();
    engine.inject(SERVICE, FaultMode::Held, usize::MAX);
    expect_error(&program, "add 1", sentence);
    engine.clear_faults();
    engine.inject(UPDATE, FaultMode::Status(400), usize::MAX);
    expect_error(&program, "add 1", "the swarm refuses the change: a mood");
    engine.clear_faults();
    // The write may be made later, whatever the engine says.
    engine.inject(UPDATE, FaultMode::Status(500), usize::MAX);
    expect_error(&program, "add 1", UNCLEAR);
    engine.clear_faults();
    assert_eq!(wanted(&engine), 2);
    assert_eq!(program.command("add 1"), "N 3\nS1\nS2\nS3\n\n");
}
