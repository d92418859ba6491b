//! Calls that are permitted, and their twins that are denied: another container, image, network or
//! service.

use serde_json::json;

use crate::support::{Container, EngineProxy, FakeDocker};

const FLEET: (&str, &str) = ("ringmaster.fleet", "own");

/// An engine with a replica and the lock of the fleet `own`, its balancer and strangers, and a
/// proxy for the fleet.
fn engine_and_proxy(args: &[&str]) -> (FakeDocker, EngineProxy) {
    let engine = FakeDocker::start();
    engine.foreign("own-S1", &[FLEET, ("ringmaster.seat", "1")]);
    engine.foreign("own-lock", &[FLEET, ("ringmaster.owner", "container x")]);
    engine.foreign("balancer", &[("ringmaster.balancer", "own")]);
    engine.foreign("stranger", &[]);
    let other = [("ringmaster.fleet", "other"), ("ringmaster.seat", "1")];
    engine.foreign("other-S1", &other);
    let flags = ["--fleet", "own", "--image", "web"];
    let proxy = EngineProxy::start(&engine.address(), &[&flags[..], args].concat());
    (engine, proxy)
}

/// Returns the calls so far that change something.
fn changes(engine: &FakeDocker) -> Vec<String> {
    let calls = engine.calls().into_iter();
    calls.filter(|call| !call.starts_with("GET ")).collect()
}

#[test]
fn an_object_of_others_is_out_of_reach() {
    let (engine, proxy) = engine_and_proxy(&[]);
    let id = |name: &str| engine.container(name).id;
    let cut = "%7B%22label%22:%5B%22ringmaster.fleet%3Down%22%5D";
    for (line, status) in [
        ("GET /containers/own-S1/json", 200),
        ("GET /v1.41/containers/own-S1/json", 200),
        ("GET /containers/balancer/json", 200),
        ("GET /containers/stranger/json", 403),
        ("GET /v1.41/containers/stranger/json", 403),
        ("GET /containers/other-S1/json", 403),
        ("GET /containers/nothing/json", 404),
        (&format!("GET /containers/{}/json", id("stranger")), 403),
        (&format!("GET /containers/{}/json", id("own-S1")), 200),
        ("GET /containers/own-S1/logs?stdout=true&tail=10", 200),
        ("GET /containers/own-S1/logs?stdout=true&tail=all", 403),
        ("GET /containers/own-S1/logs?stdout=true&follow=true", 403),
        ("GET /containers/balancer/logs?stdout=true", 403),
        ("GET /containers/stranger/logs?stdout=true", 403),
        (
            &format!("GET /containers/json?all=true&filters={cut}%7D"),
            200,
        ),
        (
            &format!("GET /containers/json?all=true&filters={cut},%22id%22:%5B%22a%22%5D%7D"),
            403,
        ),
        ("GET /containers/json?all=true", 403),
        (
            "GET /containers/json?filters=%7B%22label%22:%5B%22ringmaster.fleet%22%5D%7D",
            403,
        ),
        (
            &format!("GET /containers/json?size=true&filters={cut}%7D"),
            403,
        ),
        (&format!("GET /events?filters={cut}%7D"), 403),
        ("GET /events", 403),
        ("GET /images/web/json", 200),
        ("GET /images/web:latest/json", 200),
        ("GET /images/sha256:fake/json", 200),
        ("GET /images/web:2/json", 403),
        ("GET /images/other/json", 403),
        ("GET /images/other/web/json", 403),
        ("GET /networks/bridge", 403),
        ("GET /info", 403),
        ("GET /services", 403),
        ("GET /version", 200),
    ] {
        assert_eq!(proxy.status(line, ""), status, "{line}");
    }
    assert_eq!(changes(&engine), [""; 0]);
    assert!(proxy.log().contains(
        "denied GET /containers/stranger/json: container stranger is no container of the fleet"
    ));
}

#[test]
fn nothing_of_others_is_changed() {
    let (engine, proxy) = engine_and_proxy(&["--allow-image", "web:2"]);
    for line in [
        "POST /containers/stranger/start",
        "POST /containers/other-S1/stop?t=1",
        "POST /containers/stranger/kill?signal=SIGKILL",
        "POST /containers/balancer/kill?signal=SIGKILL",
        "POST /containers/own-S1/kill?signal=SIGSTOP",
        "POST /containers/own-lock/start",
        "POST /containers/own-lock/kill",
        "DELETE /containers/stranger?force=true",
        "DELETE /containers/balancer?force=true",
        "DELETE /containers/own-S1?link=true",
        "POST /containers/own-S1/rename?name=own-lock",
        "POST /containers/own-lock/rename?name=own-S9",
        "POST /containers/own-lock/rename?name=stranger",
        "POST /containers/own-lock/rename",
        "POST /containers/own-S1/exec",
        "POST /containers/own-S1/attach?stream=1",
        "POST /containers/own-S1/update",
        "POST /containers/own-S1/start?checkpoint=x",
        "POST /images/create?fromImage=other:1",
        "POST /images/create?fromImage=web",
        "POST /images/create?fromSrc=http://x/y.tar",
        "POST /images/create",
        "POST /images/create?fromImage=web:2&repo=x",
        "POST /containers/create?name=own-S2",
        "POST /containers/create",
        "POST /build",
        "POST /services/s1/update?version=10",
    ] {
        // Both names of one image are permitted; the engine gets the tag.
        let expected = if line.ends_with("=web") { 200 } else { 403 };
        assert_eq!(proxy.status(line, ""), expected, "{line}");
    }
    let pulled: Vec<String> = engine.pulls().into_iter().map(|(query, _)| query).collect();
    assert_eq!(pulled, ["fromImage=web%3Alatest"]);
    assert_eq!(changes(&engine), ["POST /images/create"]);
    assert_eq!(proxy.status("POST /images/create?fromImage=web:2", ""), 200);
    assert_eq!(proxy.status("POST /containers/own-S1/start", "{}"), 403);
    assert_eq!(proxy.status("POST /containers/own-S1/start", ""), 304);
    let Container { id, .. } = engine.container("own-S1");
    assert_eq!(
        changes(&engine).last(),
        Some(&format!("POST /containers/{id}/start")),
        "by its full ID"
    );
}

#[test]
fn a_network_is_that_of_the_flag_or_of_the_balancer() {
    let (engine, proxy) = engine_and_proxy(&["--network", "blue"]);
    for (network, status) in [("blue", 200), ("n0", 200), ("bridge", 403), ("host", 403)] {
        let line = format!("GET /networks/{network}");
        assert_eq!(proxy.status(&line, ""), status, "{network}");
    }
    drop(proxy);
    let flags = ["--fleet", "own", "--image", "web", "--network", "host"];
    let proxy = EngineProxy::start(&engine.address(), &flags);
    assert_eq!(proxy.status("GET /networks/host", ""), 403, "by no flag");
    drop(proxy);
    engine.lose("balancer");
    let flags = ["--fleet", "own", "--image", "web"];
    let proxy = EngineProxy::start(&engine.address(), &flags);
    for (network, status) in [("bridge", 200), ("blue", 403), ("host", 403), ("none", 403)] {
        let line = format!("GET /networks/{network}");
        assert_eq!(proxy.status(&line, ""), status, "{network}");
    }
}

#[test]
fn a_service_is_changed_by_orders_alone() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1]);
    engine.foreign("stranger", &[]);
    let flags = ["--service", "web", "--allow-image", "web:2"];
    let proxy = EngineProxy::start(&engine.address(), &flags);
    let service = engine.service();
    let version = service["Version"]["Index"].to_string();
    let update = format!("POST /services/s1/update?version={version}");
    let with = |path: &str, value| {
        let mut spec = service["Spec"].clone();
        let (parent, key) = path.rsplit_once('/').expect("a path");
        spec.pointer_mut(parent).expect("a parent")[key] = value;
        spec.to_string()
    };
    for (path, value) in [
        ("/TaskTemplate/ContainerSpec", json!({"Image": "evil:1"})),
        (
            "/TaskTemplate/ContainerSpec",
            json!({"Mounts": [{"Source": "/"}]}),
        ),
        ("/Name", json!("other")),
    ] {
        assert_eq!(proxy.status(&update, &with(path, value)), 403, "{path}");
    }
    let two = with("/Mode/Replicated/Replicas", json!(2));
    let stale = "POST /services/s1/update?version=1";
    assert_eq!(proxy.status(stale, &two), 403);
    for line in [
        "GET /services/s2",
        "POST /services/create",
        "DELETE /services/s1",
        "GET /tasks",
        "GET /secrets",
        "POST /containers/stranger/kill",
        "GET /containers/task1slot1/json",
        "POST /containers/create?name=x",
    ] {
        assert!([403, 404].contains(&proxy.status(line, "")), "{line}");
    }
    assert_eq!(changes(&engine), [""; 0]);
    assert_eq!(proxy.status(&update, &two), 200);
    let wanted = &engine.service()["Spec"]["Mode"]["Replicated"]["Replicas"];
    assert_eq!(*wanted, 2);
}
