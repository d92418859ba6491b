//! The seats follow the slots, and requests the tasks, without a failed request.

use crate::support::{FakeDocker, Load, Ringmaster, TEST_TIMEOUT, eventually, exchange, server_of};

/// Waits until these replicas, and no others, have answered.
#[track_caller]
pub(super) fn expect_list(program: &Ringmaster, names: &[&str]) {
    eventually(TEST_TIMEOUT, "the replicas", || program.rep() == names);
}

/// Numbers of the servers that `program` has, asked with 200 keys.
fn servers(program: &Ringmaster) -> Vec<u32> {
    let mut client = program.client();
    let answers = (0..200).map(|id| {
        let request = format!("GET /home?id={id} HTTP/1.1\r\nHost: x\r\n\r\n");
        server_of(&client.ask(request).text()).expect("a number")
    });
    let mut found: Vec<u32> = answers.collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn the_slots_of_the_service_are_the_seats() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2, 4]);
    let program = engine.follower(&[]);
    assert_eq!(program.rep(), ["S1", "S2", "S4"]);
    assert_eq!(servers(&program), [1, 2, 4]);
    let shown = program.command("show S4");
    assert!(shown.contains("task:task3slot4"), "{shown}");
    // A second balancer has the same ring, without a word between them.
    let second = engine.follower(&["--service", "web", "--network", "app_ring"]);
    for id in 0..50 {
        let request = format!("GET /home?id={id} HTTP/1.1\r\nHost: x\r\n\r\n");
        let [here, there] = [&program, &second].map(|one| exchange(one.listen, &request).text());
        assert_eq!(here, there);
    }
    assert!(!engine.calls().iter().any(|call| !call.starts_with("GET ")));
}

#[test]
fn scaling_up_and_down_under_load_fails_no_request() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2]);
    let program = engine.follower(&[]);
    let load = Load::start(program.listen, 4);
    engine.wants(4);
    let third = engine.start_task(3);
    let fourth = engine.start_task(4);
    expect_list(&program, &["S1", "S2", "S3", "S4"]);
    load.go_on(200);
    assert_eq!(servers(&program), [1, 2, 3, 4]);
    // The swarm announces the end of a task before it ends: its requests are finished meanwhile.
    engine.wants(2);
    for id in [&third, &fourth] {
        engine.ends_task(id, "remove");
    }
    program.event("left", 3);
    program.event("left", 4);
    for id in [&third, &fourth] {
        engine.forget_task(id);
    }
    load.go_on(200);
    assert_eq!(servers(&program), [1, 2]);
    load.finish().expect_no_failure();
    assert_eq!(program.rep(), ["S1", "S2"]);
}

#[test]
fn a_replaced_task_keeps_its_seat_and_fails_no_request() {
    let engine = FakeDocker::start();
    let killed = engine.start_task(1);
    let replaced = engine.start_task(2);
    engine.wants(2);
    let program = engine.follower(&[]);
    let load = Load::start(program.listen, 4);
    load.reach(100);
    engine.kill_task(&killed);
    program.event("down", 1);
    let successor = engine.start_task(1);
    engine.ends_task(&killed, "shutdown");
    let moved = program.event("moved", 1);
    assert_eq!(moved["name"], "S1", "{moved}");
    // Two tasks in a slot, as in an update that starts the new one first.
    let newer = engine.start_task(2);
    program.event("moved", 2);
    load.go_on(200);
    engine.ends_task(&replaced, "shutdown");
    load.go_on(100);
    engine.kill_task(&replaced);
    load.go_on(100);
    let tally = load.finish();
    tally.expect_no_failure();
    for (name, id) in [("S1", &successor), ("S2", &newer)] {
        let shown = program.command(&format!("show {name}"));
        assert!(shown.contains(&format!("task:{id}")), "{shown}");
    }
    let moves = program.events();
    let moves = moves.iter().filter(|event| event["kind"] == "moved");
    assert_eq!(
        moves.count(),
        2,
        "a slot with two tasks does not go to and fro"
    );
}

#[test]
fn a_task_that_is_to_end_gets_no_new_request() {
    let engine = FakeDocker::start();
    let first = engine.start_task(1);
    engine.start_task(2);
    engine.wants(2);
    let program = engine.follower(&[]);
    engine.ends_task(&first, "shutdown");
    let next = engine.prepare_task(1);
    program.event("drained", 1);
    assert_eq!(servers(&program), [2]);
    assert_eq!(program.rep(), ["S1", "S2"], "it still lives");
    engine.run_task(&next);
    program.event("moved", 1);
    assert_eq!(servers(&program), [1, 2]);
}

#[test]
fn a_state_that_is_not_known_is_that_of_a_task_which_comes() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1]);
    let odd = engine.start_task(2);
    engine.shows_state(&odd, Some("levitating"));
    engine.wants(2);
    let program = engine.launch_follower(&[]);
    expect_list(&program, &["S1"]);
    let ring = program.command("ring json");
    assert!(ring.contains("S2") || ring.contains('2'), "{ring}");
    engine.shows_state(&odd, None);
    expect_list(&program, &["S1", "S2"]);
}

#[test]
fn the_answer_of_another_seat_is_refused() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1]);
    // Its replica says that it is number 2.
    let wrong = engine.start_task(2);
    engine.set_slot(&wrong, 3);
    engine.wants(2);
    let program = engine.launch_follower(&[]);
    expect_list(&program, &["S1"]);
    let failing = program.event("failing", 3);
    assert_eq!(failing["reason"], "its address is that of S2 in seat 2");
}
