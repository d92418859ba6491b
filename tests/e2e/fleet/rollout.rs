//! New versions under load: one that is good, one that never gets healthy, and those that die while
//! they are monitored or later. No request fails because of any of them.

use serde_json::Value;

use crate::support::{
    Client, ContainerImage, Engine, Load, Ringmaster, TEST_TIMEOUT, binary, eventually,
    exclusive_load, faulty_image, on_both_engines,
};

on_both_engines!(
    a_good_version_is_rolled_out_and_new_seats_run_it,
    a_version_that_never_gets_healthy_is_taken_back,
    a_version_that_dies_while_it_is_monitored_is_taken_back,
    a_version_that_dies_later_is_taken_back_by_order,
    a_trial_replaces_the_lowest_seats_and_a_stop_keeps_what_is_done,
);

/// The faulty replica does not end on SIGTERM as the first process of a container.
const QUICK: [&str; 2] = ["--replica-stop-timeout", "1s"];

/// Returns the words for a version of the faulty replica with these environment variables.
fn version(engine: Engine, variables: &[&str]) -> String {
    match engine {
        Engine::Process => {
            let binary = binary(ContainerImage::Faulty);
            format!("-- env {} {}", variables.join(" "), binary.display())
        }
        Engine::Docker => faulty_image(variables),
    }
}

/// Returns the version of each replica, in the order of the seats.
#[track_caller]
fn versions(program: &Ringmaster) -> Vec<String> {
    let answer = program.command("show json");
    let value: Value = serde_json::from_str(&answer).expect("JSON");
    let replicas = value["message"]["replicas"].as_array().expect("a list");
    let version = |replica: &Value| replica["version"].as_str().expect("a version").to_owned();
    // A replica that was given up may not be gone yet.
    let listed = replicas.iter().filter(|replica| replica["listed"] == true);
    listed.map(version).collect()
}

/// Returns the stages of the rollouts so far.
fn stages(program: &Ringmaster) -> Vec<String> {
    let events = program.events().into_iter();
    let stages = events.filter(|event| event["kind"] == "rollout");
    let stages = stages.map(|event| event["stage"].as_str().expect("a stage").to_owned());
    stages.collect()
}

/// Sends the order under load and returns its answer. No request fails meanwhile.
#[track_caller]
fn under_load(program: &Ringmaster, order: &str) -> String {
    let load = Load::start(program.listen, 8);
    load.reach(200);
    let answer = program.command(order);
    load.go_on(200);
    let tally = load.finish();
    println!("{order}: slowest GET {:?}", tally.slowest);
    tally.expect_no_failure();
    answer
}

fn a_good_version_is_rolled_out_and_new_seats_run_it(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&QUICK);
    let before = versions(&program);
    let good = version(engine, &["FAULTY_VERSION=2"]);
    assert!(!program.command("show").contains("VERSION"));
    let plan = program.command(&format!("plan replace all {good}"));
    assert!(
        plan.contains("3 of 3 replicas are replaced, 1 at a time"),
        "{plan}"
    );
    assert_eq!(stages(&program), [""; 0], "a plan changes nothing");
    let order = format!("replace all --monitor 200ms --parallel 2 {good}");
    let answer = under_load(&program, &order);
    assert!(answer.starts_with("N 3\ns-"), "{answer}");
    assert_eq!(stages(&program), ["begun", "completed"]);
    let after = versions(&program);
    assert!(
        after
            .iter()
            .all(|version| *version == after[0] && *version != before[0]),
        "{after:?}"
    );
    assert!(program.command("show").contains("IN_FLIGHT  VERSION"));
    program.command("add 1 S4");
    assert_eq!(versions(&program)[3], after[0]);
    let metrics = metrics(&program);
    assert!(metrics.contains("\nringmaster_versions 1\n"), "{metrics}");
    assert!(
        metrics.contains("ringmaster_rollouts_total{stage=\"completed\"} 1\n"),
        "{metrics}"
    );
    program.expect_log(": 3 to replace, 2 at a time, each monitored for 200ms; 3 of 3 up");
}

fn metrics(program: &Ringmaster) -> String {
    let mut client = Client::connect(program.control);
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    String::from_utf8(client.rest()).expect("text")
}

fn a_version_that_never_gets_healthy_is_taken_back(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&["--start-timeout", "2s", "--replica-stop-timeout", "1s"]);
    let (before, names) = (versions(&program), program.rep());
    let sick = version(engine, &["FAULTY_UNHEALTHY=1"]);
    let answer = under_load(&program, &format!("replace all {sick}"));
    let part = ": it did not answer within 2s with 2xx or 3xx: GET /heartbeat answered 503";
    assert!(
        answer.starts_with("ERR could not start s-") && answer.contains(part),
        "{answer}"
    );
    assert!(
        answer.ends_with("; replaced 0 of 3; rolled back\n\n"),
        "{answer}"
    );
    assert_eq!((versions(&program), program.rep()), (before, names));
    assert_eq!(stages(&program), ["begun", "turned_back", "rolled_back"]);
}

fn a_version_that_dies_while_it_is_monitored_is_taken_back(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&QUICK);
    let before = versions(&program);
    let weak = version(engine, &["FAULTY_LIFETIME_MS=1500"]);
    let answer = under_load(&program, &format!("replace all --monitor 1m {weak}"));
    assert!(
        answer.contains(" died: ") && answer.contains("; rolled back"),
        "{answer}"
    );
    assert_eq!(versions(&program), before);
    assert_eq!(stages(&program), ["begun", "turned_back", "rolled_back"]);
}

fn a_version_that_dies_later_is_taken_back_by_order(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&QUICK);
    let before = versions(&program);
    let weak = version(engine, &["FAULTY_LIFETIME_MS=8000"]);
    let load = Load::start(program.listen, 8);
    let answer = program.command(&format!("replace all --monitor 100ms {weak}"));
    assert!(answer.starts_with("N 3\ns-"), "{answer}");
    let weak = versions(&program)[0].clone();
    program.event("down", 1);
    eventually(TEST_TIMEOUT, "another replica of the same version", || {
        program.rep().len() == 3 && versions(&program)[0] == weak
    });
    let answer = program.command("replace back");
    assert!(answer.starts_with("N 3\ns-"), "{answer}");
    load.go_on(200);
    load.finish().expect_no_failure();
    assert_eq!(versions(&program), before);
    assert_eq!(
        stages(&program),
        ["begun", "completed", "turned_back", "rolled_back"]
    );
}

fn a_trial_replaces_the_lowest_seats_and_a_stop_keeps_what_is_done(engine: Engine) {
    let _turn = exclusive_load();
    let program = engine.start(&QUICK);
    let before = versions(&program);
    let good = version(engine, &["FAULTY_VERSION=3"]);
    let answer = under_load(&program, &format!("replace 1 --monitor 0s {good}"));
    assert!(answer.ends_with("\nS2\nS3\n\n"), "{answer}");
    let trial = versions(&program);
    assert!(
        trial[0] != before[0] && trial[1..] == before[1..],
        "{trial:?}"
    );
    // The rest follows, and is stopped while its first replica is monitored.
    let mut order = Client::connect(program.control);
    order.send(format!("replace all --monitor 1h {good}\n"));
    program.event("replaced", 1);
    eventually(TEST_TIMEOUT, "the second replacement of seat 1", || {
        let events = program.events().into_iter();
        events.filter(|event| event["kind"] == "replaced").count() == 2
    });
    assert!(program.command("show").contains("replacing by "));
    let stopped = program.command("replace stop");
    assert!(stopped.starts_with("N 3\n"), "{stopped}");
    let answer = String::from_utf8(order.rest()).expect("text");
    assert_eq!(answer, "ERR stopped by order; replaced 1 of 3\n\n");
    assert_eq!(versions(&program).len(), 3);
}
