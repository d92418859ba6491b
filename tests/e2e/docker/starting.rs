//! The real engine: replicas that do not start are told with the reason, and nothing of them is left.

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
fn one_that_ends_at_once_is_told_with_its_last_words() {
    let bad = ["--replica-env", "REPLICA_PARENT=nobody"];
    if let Some(why) = does_not_start("ends", &bad) {
        let words = "container ended with 2; last output: error: invalid value 'nobody'";
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn one_that_is_ill_from_the_start_is_given_up() {
    let ill = ["--heartbeat-path", "/ill", "--start-timeout", "3s"];
    if let Some(why) = does_not_start("ill", &ill) {
        assert!(why.contains("did not answer within 3s"), "{why}");
    }
}
