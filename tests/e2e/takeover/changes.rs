//! A takeover while a change is under way: it is finished first, as far as the time allows.

use super::bundled;
use crate::support::{Client, Load, Ringmaster};

#[test]
fn a_change_that_is_under_way_is_finished_first() {
    let mut first = Ringmaster::start(&["--replicas", "3"]);
    let mut order = Client::connect(first.control);
    order.send("replace all\n");
    first.event("replaced", 1);
    let second = first.taken_over(&[]);
    let answer = String::from_utf8(order.rest()).expect("text");
    assert!(answer.starts_with("N 3\n"), "{answer}");
    assert!(first.wait().success(), "{}", first.log());
    let rep = second.rep();
    assert!(
        rep.len() == 3 && rep.iter().all(|name| name.starts_with("s-")),
        "{rep:?}"
    );
}

#[test]
fn a_rollout_that_takes_longer_ends_where_it_is() {
    let mut first = Ringmaster::start(&["--replicas", "2"]);
    let mut order = Client::connect(first.control);
    let command = bundled();
    order.send(format!(
        "replace all --monitor 1h -- {}\n",
        command.display()
    ));
    first.event("replaced", 1);
    let load = Load::start(first.listen, 4);
    let second = first.taken_over(&[]);
    let answer = String::from_utf8(order.rest()).expect("text");
    assert!(
        answer.starts_with("ERR another process takes over; replaced 1 of 2\n"),
        "{answer}"
    );
    assert!(first.wait().success(), "{}", first.log());
    load.go_on(200);
    load.finish().expect_no_failure();
    assert_eq!(second.rep().len(), 2);
    first.expect_log("the version of 'replace … -- COMMAND' ends with this process");
    // The successor's replicas run what its flags say, and it can replace them.
    let replaced = second.command("replace all");
    assert!(replaced.starts_with("N 2\n"), "{replaced}");
}
