//! The real engine: a balancer whose only way to it is the proxy.

use serde_json::json;

use crate::support::{
    Docker, EngineProxy, REAL_ENGINE, Ringmaster, TEST_TIMEOUT, docker, eventually, inspect,
};

#[test]
fn a_balancer_needs_no_socket_of_the_engine() {
    let Some(engine) = Docker::fleet("engine-proxy") else {
        return;
    };
    let flags = engine.flags();
    let proxy = EngineProxy::start(REAL_ENGINE, &flags[2..]);
    let program = Ringmaster::launch(proxy.program(), &flags).ready();
    docker(&["kill", &engine.name("S2")]);
    program.event("replaced", 2);
    assert!(program.command("add 1").starts_with("N 4\n"));
    let rolled = program.command(&format!("replace all --monitor 0s {}", flags[3]));
    assert!(rolled.starts_with("N 4\n"), "{rolled}");
    assert!(!proxy.log().contains("denied"), "{}", proxy.log());
    assert!(program.stop().success());
    eventually(TEST_TIMEOUT, "no container is left", || {
        engine.containers().is_empty()
    });
    assert!(!proxy.log().contains("denied"), "{}", proxy.log());
}

#[test]
fn the_engine_never_gets_what_no_balancer_sends() {
    let Some(engine) = Docker::fleet("engine-proxy-denied") else {
        return;
    };
    let flags = engine.flags();
    let proxy = EngineProxy::start(REAL_ENGINE, &flags[2..]);
    let stranger = engine.foreign(&engine.name("stranger"), &[]);
    let name = engine.name("lock");
    let lock = |host: serde_json::Value| {
        json!({"Image": flags[3], "Entrypoint": ["/never-started"],
               "Labels": {"ringmaster.fleet": engine.fleet, "ringmaster.owner": "container x",
                          "ringmaster.seats": "1", "org.opencontainers.image.title": "ringmaster lock"},
               "HostConfig": host})
        .to_string()
    };
    let create = format!("POST /v1.41/containers/create?name={name}");
    for host in [
        json!({"NetworkMode": "none", "Privileged": true}),
        json!({"NetworkMode": "none", "Binds": ["/:/host"]}),
        json!({"NetworkMode": "host"}),
        json!({"NetworkMode": "none", "PidMode": "host"}),
    ] {
        assert_eq!(proxy.status(&create, &lock(host.clone())), 403, "{host}");
    }
    for line in [
        format!("GET /containers/{stranger}/json"),
        format!("GET /containers/{}/json", &stranger[..12]),
        format!("POST /containers/{stranger}/exec"),
        format!("DELETE /containers/{stranger}?force=true"),
        format!("POST /containers/{stranger}/kill"),
        "POST /volumes/create".to_owned(),
        "GET /images/json".to_owned(),
    ] {
        assert_eq!(proxy.status(&line, ""), 403, "{line}");
    }
    assert_eq!(inspect(&stranger)["State"]["Running"], true);
    let body = lock(json!({"NetworkMode": "none"}));
    assert_eq!(proxy.status(&create, &body), 201, "the lock itself");
    assert_eq!(inspect(&name)["HostConfig"]["Privileged"], false);
    // Two values of one key: the engine would merge them.
    docker(&["rm", &name]);
    let twice = body.replacen('{', "{\"HostConfig\":{\"Privileged\":true},", 1);
    assert_eq!(proxy.status(&create, &twice), 201);
    assert_eq!(inspect(&name)["HostConfig"]["Privileged"], false);
}
