//! An engine that is killed and comes back, for real: requests are served on, nothing is removed or
//! doubled, and afterwards everything is as it is wanted again.

use crate::support::{Dockerd, Load, Signal, TEST_TIMEOUT, eventually, exclusive_load, signal};

/// Returns the lines of `list` that do not begin with `name`.
fn without<'a>(list: &'a [String], name: &str) -> Vec<&'a String> {
    let begins = format!("{name} ");
    list.iter()
        .filter(|line| !line.starts_with(&begins))
        .collect()
}

#[test]
fn an_engine_that_was_away_finds_everything_as_it_was() {
    let Some(mut engine) = Dockerd::start("an engine that was away") else {
        return;
    };
    let turn = exclusive_load();
    let program = engine.balancer(&[]);
    let (before, socket) = (engine.containers(), engine.inode());
    assert_eq!(before.len(), 4, "three and the lock: {before:?}");
    let victim = engine.process("S2");
    let load = Load::start(program.listen, 8);
    load.reach(500);

    engine.goes();
    program.expect_log("cannot list containers, replicas run on unwatched");
    load.go_on(500);
    assert_eq!(program.rep(), ["S1", "S2", "S3"]);
    // The balancer sees a death by the closed connections; without the engine it cannot start a
    // successor.
    signal(victim, Signal::KILL);
    program.event("down", 2);
    program.event("failed", 2);
    load.go_on(500);
    assert_eq!(program.rep(), ["S1", "S3"]);

    engine.comes(true);
    assert_ne!(engine.inode(), socket, "another socket under the same path");
    program.event("replaced", 2);
    program.expect_log("the container engine answers again");
    load.go_on(500);
    load.wait_for_one_reply_per_connection();
    load.finish().expect_no_failure();
    drop(turn);
    let rep = program.rep();
    let successor = format!("alone-{}", rep[1]);
    eventually(
        TEST_TIMEOUT,
        "the others, and the successor of the dead",
        || {
            let after = engine.containers();
            after.len() == 4 && without(&after, &successor) == without(&before, "alone-S2")
        },
    );

    // This stop of the engine ends its containers: all replicas at once.
    engine.goes();
    engine.comes(false);
    eventually(2 * TEST_TIMEOUT, "successors of all", || {
        let now = program.rep();
        now.len() == 3 && now.iter().all(|name| !rep.contains(name))
    });
    eventually(TEST_TIMEOUT, "no other container", || {
        engine.containers().len() == 4
    });
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}
