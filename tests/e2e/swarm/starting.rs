//! Starts that are refused, each with its sentence.

use serde_json::{Value, json};

use crate::support::{FakeDocker, end_of, fresh_path, service};

/// Starts a follower that is to fail, and returns its last words.
#[track_caller]
fn fails(engine: &FakeDocker, args: &[&str]) -> String {
    let mut command = engine.command();
    command.args(["serve", "--engine", "swarm"]).args(args);
    command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
    let output = end_of(&mut command);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    errors
}

#[track_caller]
fn expect(errors: &str, sentence: &str) {
    assert!(errors.contains(sentence), "{errors}");
}

fn node(state: &str, is_manager: bool) -> Value {
    json!({"Swarm": {"LocalNodeState": state, "ControlAvailable": is_manager}})
}

#[test]
fn a_node_that_cannot_see_tasks_is_refused() {
    let engine = FakeDocker::start();
    engine.set_info(node("active", false));
    expect(
        &fails(&engine, &[]),
        "this node is a worker and cannot see tasks: run balancers on managers \
         (node.role == manager), or set DOCKER_HOST to a manager",
    );
    engine.set_info(node("inactive", false));
    expect(
        &fails(&engine, &[]),
        "this engine is in no swarm (docker swarm init)",
    );
    engine.goes();
    expect(
        &fails(&engine, &[]),
        "cannot reach the container engine at unix:///",
    );
}

#[test]
fn a_service_that_cannot_be_followed_is_refused() {
    let engine = FakeDocker::start();
    expect(
        &fails(&engine, &["--service", "api"]),
        "there is no service api (--service); replicated services on our network: web",
    );
    let global = service("s2", "everywhere", json!({"Global": {}}));
    engine.add_service(global);
    expect(
        &fails(&engine, &["--service", "everywhere"]),
        "service everywhere is not replicated: only slots of a replicated service can be seats",
    );
    expect(
        &fails(&engine, &["--network", "other", "--service", "web"]),
        "service web is not on network other (--network)",
    );
    expect(
        &fails(&engine, &["--network", "nowhere"]),
        "the engine has no network nowhere (--network)",
    );
    engine.add_service(service("s3", "api", json!({"Replicated": {"Replicas": 1}})));
    expect(
        &fails(&engine, &[]),
        "choose a service with --service; replicated services on our network: api, web",
    );
    engine.edit_service(|service| {
        service["Spec"]["TaskTemplate"]["Networks"] = json!([{"Target": "n1"}, {"Target": "n2"}]);
    });
    expect(
        &fails(&engine, &["--service", "web"]),
        "no network of the replicas: choose one with --network; service web is on: app_ring, other",
    );
}

#[test]
fn a_restart_policy_that_leaves_replicas_dead_is_a_warning() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1]);
    engine.edit_service(|service| {
        let policy = json!({"Condition": "on-failure", "Delay": 3_000_000_000_u64});
        service["Spec"]["TaskTemplate"]["RestartPolicy"] = policy;
    });
    let program = engine.follower(&[]);
    program.expect_log("restart_policy.condition is on-failure");
    program.expect_log("service web: a dead replica waits 3s: restart_policy.delay");
}

#[test]
fn the_token_may_be_a_file() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1]);
    let path = fresh_path("token");
    std::fs::write(&path, "s3cret\n").expect("a file");
    let at = path.to_str().expect("UTF-8");
    let program = engine.follower(&["--control-token-file", at]);
    program.expect_log("every user may read this secret; 'chmod o-r' prevents that");
    let right = program.command("auth s3cret; rep");
    assert!(right.contains("S1"), "{right}");
    let wrong = program.command("auth secret");
    assert!(wrong.starts_with("ERR "), "{wrong}");
    std::fs::remove_file(&path).expect("the file");
}
