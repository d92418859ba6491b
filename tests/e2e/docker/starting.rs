//! The real engine: a replica that does not start is reported with the reason, and no container of
//! it is left.

use crate::support::Docker;

/// Orders two replicas that do not start, and returns why not.
#[track_caller]
fn does_not_start(test: &str, args: &[&str]) -> Option<String> {
    let engine = Docker::fleet(test)?;
    let program = engine.balancer(&[&["--replicas", "0"], args].concat());
    let answer = program.command("add 2 A B");
    assert!(answer.starts_with("ERR could not start "), "{answer}");
    assert_eq!(program.rep(), Vec::<String>::new());
    assert_eq!(engine.containers().len(), 1, "the lock alone is left");
    assert!(program.stop().success());
    Some(answer)
}

#[test]
fn a_container_that_exits_at_once_is_reported_with_its_last_output() {
    let bad = ["--replica-env", "REPLICA_PARENT=absent"];
    if let Some(why) = does_not_start("ends", &bad) {
        for words in [
            ": container ended with 2, within ",
            " of its start; last output: error: invalid value 'absent'",
        ] {
            assert!(why.contains(words), "{why}");
        }
    }
}

#[test]
fn a_container_that_never_gets_healthy_is_given_up() {
    let ill = ["--heartbeat-path", "/ill", "--start-timeout", "3s"];
    if let Some(why) = does_not_start("ill", &ill) {
        let words = "it did not answer within 3s with 2xx or 3xx: GET /ill answered 400; see --heartbeat-path";
        assert!(why.contains(words), "{why}");
    }
}
