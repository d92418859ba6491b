//! The whole life of a fleet and of a service through the proxy: no call is denied, and each rule
//! of the table is used.

use std::path::Path;

use crate::support::{
    EngineProxy, FakeDocker, Ringmaster, Signal, TEST_TIMEOUT, eventually, signal,
};

/// Fails the test unless no call was denied, and all rules for this engine were used.
#[track_caller]
fn expect_all_rules(proxy: &EngineProxy, engine: &str) {
    let log = proxy.log();
    let denied: Vec<&str> = log.lines().filter(|line| line.contains("denied")).collect();
    assert!(denied.is_empty(), "{}", denied.join("\n"));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/README.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        cells.len() == 4 && cells[0].starts_with("| `") && [engine, "both"].contains(&cells[1])
    });
    let calls: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert!(calls.len() > 5, "{calls:?}");
    let is_unused = |call: &&&str| !log.contains(&format!("passes {call}: "));
    let unused: Vec<&&str> = calls.iter().filter(is_unused).collect();
    assert!(unused.is_empty(), "rules that are never used: {unused:?}");
}

#[test]
fn a_fleet_lives_behind_the_proxy_and_uses_each_of_its_rules() {
    let engine = FakeDocker::start();
    let port = engine.port().to_string();
    let own = [
        "--fleet",
        "own",
        "--image",
        "web:1",
        "--replica-port",
        &port,
    ];
    let proxy = EngineProxy::start(
        &engine.address(),
        &[&own[..], &["--allow-image", "web:2"]].concat(),
    );
    let flags = [
        &own[..],
        &["--engine", "docker", "--pull", "always", "--standby", "1"],
    ]
    .concat();
    let launch = |args: &[&str]| Ringmaster::launch(proxy.program(), &[&flags[..], args].concat());
    let program = launch(&[]).ready();
    program.standing_by(1);
    assert!(program.command("add 2 a b").starts_with("N 5\n"));
    assert!(program.command("rm 1 a").starts_with("N 4\n"));
    let killed = engine.container("own-S2");
    signal(killed.pid.expect("it runs"), Signal::KILL);
    program.event("replaced", 2);
    program.command("kill S1");
    program.event("replaced", 1);
    let rolled = program.command("replace all --monitor 0s web:2");
    assert!(rolled.starts_with("N 4\n"), "{rolled}");
    let names = program.rep();
    program.command(&format!("drain {}", names[0]));
    assert!(program.stop().success());
    eventually(TEST_TIMEOUT, "no container is left", || {
        engine.containers().is_empty()
    });
    expect_all_rules(&proxy, "docker");
    assert!(proxy.stop());
}

#[test]
fn a_takeover_and_an_adoption_pass() {
    let engine = FakeDocker::start();
    let port = engine.port().to_string();
    let own = ["--image", "web", "--replica-port", &port];
    let proxy = EngineProxy::start(&engine.address(), &own);
    let flags = [&own[..], &["--engine", "docker", "--replicas", "2"]].concat();
    let launch =
        |args: &[&str]| Ringmaster::launch(proxy.program(), &[&flags[..], args].concat()).ready();
    let mut first = launch(&[]);
    let (listen, control) = (first.listen.to_string(), first.control.to_string());
    let second = launch(&["--takeover", "--listen", &listen, "--control", &control]);
    // Until its end the first one may accept a connection, and close it.
    assert!(first.wait().success());
    assert_eq!(second.rep(), ["S1", "S2"]);
    second.kill();
    let third = launch(&[]);
    assert_eq!(third.rep(), ["S1", "S2"], "adopted");
    assert!(third.stop().success());
    assert!(!proxy.log().contains("denied"), "{}", proxy.log());
}

#[test]
fn a_balancer_of_a_service_lives_behind_the_proxy() {
    let engine = FakeDocker::start();
    engine.runs_slots(&[1, 2, 3]);
    let proxy = EngineProxy::start(
        &engine.address(),
        &["--service", "web", "--allow-image", "web:2"],
    );
    let port = engine.port().to_string();
    let flags = [
        "--engine",
        "swarm",
        "--service",
        "web",
        "--network",
        "app_ring",
        "--replica-port",
        &port,
    ];
    let own = engine.foreign("balancer", &[("ringmaster.balancer", "web")]);
    let mut command = proxy.program();
    command.env("HOSTNAME", own.id);
    let program = Ringmaster::launch(command, &flags).ready();
    eventually(TEST_TIMEOUT, "three seats", || program.rep().len() == 3);
    program.command("weight S2 2");
    engine.obeys();
    assert!(program.command("add 1").starts_with("N 4\n"));
    assert!(program.command("rm 1").starts_with("N 3\n"));
    program.command("kill S3");
    engine.ends_task("task1slot1", "shutdown");
    eventually(TEST_TIMEOUT, "each rule is used", || {
        ["/tasks/{task}", "/containers/{container}/kill"]
            .iter()
            .all(|path| proxy.log().contains(&format!(" {path}: ")))
    });
    expect_all_rules(&proxy, "swarm");
}
