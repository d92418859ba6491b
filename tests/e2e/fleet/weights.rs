//! Weights of seats: shares under load, and what keeps them.

use serde_json::Value;

use super::backends::send;
use crate::support::*;

/// Returns name and weight of each seat of `/ring`.
fn weights(program: &Ringmaster) -> Vec<(String, u64)> {
    let ask = "GET /ring HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let reply: Value = serde_json::from_slice(&exchange(program.control, ask).body).expect("JSON");
    let seats = reply["message"]["seats"].as_array().expect("a list");
    let name = |seat: &Value| seat["name"].as_str().unwrap_or("-").to_owned();
    let seat = |seat: &Value| (name(seat), seat["weight"].as_u64().expect("a number"));
    seats.iter().map(seat).collect()
}

fn expected(all: &[(&str, u64)]) -> Vec<(String, u64)> {
    let all = all
        .iter()
        .map(|(name, weight)| ((*name).to_owned(), *weight));
    all.collect()
}

#[test]
fn shares_follow_the_weights_and_a_change_fails_no_request() {
    let _turn = exclusive_load();
    let [one, two, three] = [1, 2, 3].map(NumberedServer::at_any_port);
    let backends = format!(
        "--backend=a={},weight=2,b={},c={},weight=5",
        one.addr, two.addr, three.addr
    );
    let program = Ringmaster::start(&[&backends]);
    assert_eq!(weights(&program), expected(&[("a", 2), ("b", 1), ("c", 5)]));
    let load = Load::start(program.listen, 16);
    load.go_on(4_000);
    load.finish().expect_shares(&[(1, 2.0), (2, 1.0), (3, 5.0)]);
    let load = Load::start(program.listen, 16);
    load.go_on(300);
    let plan = program.command("plan weight b 5");
    assert!(plan.starts_with("plan weight b 5\nseat 1"), "{plan}");
    let changed = program.command("weight b 5");
    assert!(changed.starts_with("ring uniform\nseat 1"), "{changed}");
    assert!(changed.contains(" % weight 5\nseat 3"), "{changed}");
    let (status, body) = send(&program, "POST /replicas/c/weight", r#"{"weight":3}"#);
    assert_eq!(
        (status, body.contains(r#""weight":3"#)),
        (200, true),
        "{body}"
    );
    load.go_on(300);
    load.finish().expect_no_failure();
    let load = Load::start(program.listen, 16);
    load.go_on(4_000);
    load.finish().expect_shares(&[(1, 2.0), (2, 5.0), (3, 3.0)]);
    let show = program.command("show");
    assert!(
        show.lines().next().expect("a line").ends_with(" WEIGHT"),
        "{show}"
    );
    assert!(program.command("show b").contains("\nweight 5\n"));
    let metrics = program.metrics();
    assert!(
        metrics.contains("ringmaster_replica_weight{seat=\"2\"} 5\n"),
        "{metrics}"
    );
    let events = program.command("events");
    assert!(
        events.contains(" seat 2   weight    b          3/3 up  5, it was 1\n"),
        "{events}"
    );
    assert!(program.stop().success());
}

#[test]
fn a_weight_that_cannot_be_is_refused_and_changes_nothing() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let ring = program.command("ring");
    for (line, sentence) in [
        (
            "weight S1 0",
            "a weight is at least 1; 'drain NAME' keeps new requests from a replica",
        ),
        ("weight S1 257", "a weight is a whole number from 1 to 256"),
        ("weight S1 1.5", "a weight is a whole number from 1 to 256"),
        ("weight S9 2", "there is no replica named S9"),
        ("weight S1", "usage: weight NAME W"),
    ] {
        assert_eq!(program.command(line), format!("ERR {sentence}\n\n"));
    }
    for (body, sentence) in [
        (r#"{"weight":0}"#, "a weight is at least 1"),
        (r#"{"weight":"2"}"#, "a weight is a whole number"),
        (r#"{"weight":2,"n":1}"#, "'n' is"),
        ("{}", "weight is missing"),
    ] {
        let (status, text) = send(&program, "POST /replicas/S1/weight", body);
        assert_eq!((status, text.contains(sentence)), (400, true), "{text}");
    }
    let (status, _) = send(&program, "POST /replicas/S9/weight", r#"{"weight":2}"#);
    assert_eq!(status, 404);
    assert_eq!(program.command("ring"), ring);
    program.command("weight S1 2");
    let refused = program.command("ring set classic");
    let sentence = "ERR ring classic has no weights, and seat 1 has weight 2: use ring uniform, rendezvous or maglev, or weight 1\n\n";
    assert_eq!(refused, sentence);
    assert_eq!(weights(&program), expected(&[("S1", 2), ("S2", 1)]));
    assert!(program.stop().success());
}

#[test]
fn a_weight_outlives_its_replica_and_a_takeover() {
    let mut first = Ringmaster::start(&["--replicas", "2"]);
    first.command("weight S2 7");
    first.command("kill S2");
    first.event("replaced", 2);
    let successor = first.rep()[1].clone();
    let kept = expected(&[("S1", 1), (&successor, 7)]);
    assert_eq!(weights(&first), kept);
    let second = first.taken_over(&["--replicas", "2"]);
    assert!(first.wait().success(), "{}", first.log());
    let [(_, one), (_, seven)] = &weights(&second)[..] else {
        panic!("{}", second.command("ring"));
    };
    assert_eq!((*one, *seven), (1, 7));
    assert!(second.stop().success());
}

#[test]
fn weights_of_backends_are_kept_in_the_state_file_and_flags_that_change_win() {
    let [one, two] = [1, 2].map(NumberedServer::at_any_port);
    let state = fresh_path("state");
    let path = format!("--state={}", state.display());
    let flags = format!("--backend=a={},weight=2,b={}", one.addr, two.addr);
    let program = Ringmaster::start(&[&flags, &path]);
    program.command("weight b 9");
    program.kill();
    let mut program = Ringmaster::start(&[&flags, &path]);
    let kept = expected(&[("a", 2), ("b", 9)]);
    assert_eq!(weights(&program), kept);
    // The ring of the file's seats is checked before anything is opened.
    let args = ["check", "--ring=classic", &path];
    let checked = run_to_end(&args);
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(
        errors.contains("ring classic has no weights, and seat 1 has weight 2"),
        "{errors}"
    );
    assert_eq!(checked.status.code(), Some(2));
    let serve = [
        "serve",
        "--listen=127.0.0.1:0",
        "--control=127.0.0.1:0",
        "--ring=jump",
        &path,
    ];
    let refused = run_to_end(&serve);
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("ring jump has no weights"), "{errors}");
    assert_eq!(refused.status.code(), Some(1));
    let mut second = program.taken_over(&[&flags, &path]);
    assert!(program.wait().success(), "{}", program.log());
    assert_eq!(weights(&second), kept);
    let changed = format!("--backend=a={},weight=4,b={}", one.addr, two.addr);
    std::fs::remove_file(&state).expect("the file");
    let third = second.taken_over(&[&changed, &path]);
    assert!(second.wait().success(), "{}", second.log());
    assert_eq!(weights(&third), expected(&[("a", 4), ("b", 1)]));
    assert!(third.stop().success());
    assert!(!state.exists(), "the flags say it all");
}
