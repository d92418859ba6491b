//! The real engine: its containers die in every way under load, and no client notices.

use serde_json::Value;

use crate::support::{
    Docker, Load, Ringmaster, TEST_TIMEOUT, docker, end_of, eventually, exchange, exclusive_load,
    inspect, program,
};

/// Arguments of a balancer on ports that the system chooses.
const SERVE: [&str; 5] = [
    "serve",
    "--listen",
    "127.0.0.1:0",
    "--control",
    "127.0.0.1:0",
];

fn millis(event: &Value, field: &str) -> f64 {
    event[field].as_f64().unwrap_or(f64::NAN)
}

/// Lets the replica in seat 2 die in this way under load, and prints the cost.
#[track_caller]
fn dies(way: &str, command: impl Fn(&str) -> Vec<String>, limit: f64) {
    let Some(engine) = Docker::fleet(&way.replace(' ', "-")) else {
        return;
    };
    let _turn = exclusive_load();
    let program = engine.balancer(&[]);
    let load = Load::start(program.listen, 64);
    load.reach(1_000);
    let victim = engine.name("S2");
    let command = command(&victim);
    docker(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let down = program.event("down", 2);
    let replaced = program.event("replaced", 2);
    load.go_on(1_000);
    let tally = load.finish();
    // A silent replica is bypassed long before it is down.
    let events = program.events();
    let noticed = events
        .iter()
        .find(|event| event["seat"] == 2 && event["detected_within_ms"].is_number());
    let (detected, filled) = (
        millis(noticed.expect("an event"), "detected_within_ms"),
        millis(&replaced, "replaced_after_ms"),
    );
    println!(
        "{way:<20} detected within {detected:6.1} ms, replaced {filled:6.1} ms later, {} of {} GETs \
         failed, slowest {:?}; {}",
        tally.failures.len(),
        tally.failures.len() as u64 + tally.by_server.values().sum::<u64>(),
        tally.slowest,
        down["reason"],
    );
    tally.expect_no_failure();
    assert!(detected < limit, "{noticed:?}");
    let rep = program.rep();
    assert_eq!((rep.len(), &rep[0][..], &rep[2][..]), (3, "S1", "S3"));
    assert!(rep[1].starts_with("s-"), "{rep:?}");
    let new = inspect(&engine.name(&rep[1]));
    assert_eq!(new["Config"]["Labels"]["ringmaster.seat"], "2");
    eventually(TEST_TIMEOUT, "the dead container is removed", || {
        !engine
            .containers()
            .iter()
            .any(|line| line.starts_with(&victim))
    });
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Limit that a busy machine must keep, too; the goal is far below.
const AT_ONCE: f64 = 1_000.0;
const SILENT: f64 = 3_000.0;

#[test]
fn killed() {
    dies("docker kill", |name| words(&["kill", name]), AT_ONCE);
}

#[test]
fn stopped() {
    dies("docker stop", |name| words(&["stop", name]), AT_ONCE);
}

#[test]
fn paused() {
    dies("docker pause", |name| words(&["pause", name]), SILENT);
}

#[test]
fn disconnected() {
    dies(
        "network disconnect",
        |name| words(&["network", "disconnect", "bridge", name]),
        SILENT,
    );
}

#[test]
fn removed() {
    dies("docker rm -f", |name| words(&["rm", "-f", name]), AT_ONCE);
}

#[test]
fn containers_are_named_labelled_and_confined() {
    let Some(engine) = Docker::fleet("confined") else {
        return;
    };
    let network = engine.network();
    let flags = [
        "--network",
        &network,
        "--replica-env",
        "COLOUR=blue",
        "--replica-cpus",
        "0.5",
    ];
    let program = engine.balancer(&[&flags[..], &["--replicas", "1"]].concat());
    let seen = inspect(&engine.name("S1"));
    let (host, config) = (&seen["HostConfig"], &seen["Config"]);
    assert_eq!(config["Hostname"], "S1");
    let env = config["Env"].to_string();
    for variable in ["\"SERVER_ID=1\"", "\"REPLICA_NAME=S1\"", "\"COLOUR=blue\""] {
        assert!(env.contains(variable), "{env}");
    }
    assert_eq!(config["Labels"]["ringmaster.fleet"], engine.fleet.as_str());
    assert_eq!(host["RestartPolicy"]["Name"], "no");
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(
        host["SecurityOpt"],
        serde_json::json!(["no-new-privileges"])
    );
    assert_eq!(host["Memory"], 64 << 20);
    assert_eq!(host["NanoCpus"], 500_000_000);
    assert!(host["PidsLimit"].as_i64().is_some_and(|limit| limit > 0));
    let networks = &seen["NetworkSettings"]["Networks"];
    assert_eq!(networks.as_object().map(serde_json::Map::len), Some(1));
    let aliases = networks[&network]["Aliases"].to_string();
    assert!(aliases.contains("\"S1\""), "{aliases}");
    assert!(program.stop().success());
}

#[test]
fn orders_change_the_containers_and_foreign_ones_are_left_alone() {
    let Some(engine) = Docker::fleet("orders") else {
        return;
    };
    let network = engine.network();
    let on_it = ["--network", network.as_str()];
    let mut strangers = vec![
        engine.foreign(&engine.name("S1"), &[]),
        engine.foreign(&engine.name("S5"), &on_it),
        engine.foreign(&engine.name("prefix"), &["--label", "ringmaster.seat=1"]),
    ];
    let program = engine.balancer(&on_it);
    let rep = program.rep();
    assert!(
        rep[0].starts_with("s-") && rep[1..] == ["S2", "S3"],
        "{rep:?}"
    );
    let body = r#"{"n":2,"hostnames":["S4","S5"]}"#;
    let head = format!("Host: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    let refused = exchange(
        program.control,
        format!("POST /add HTTP/1.1\r\n{head}{body}"),
    );
    assert_eq!(refused.status(), 400, "{}", refused.text());
    assert!(
        refused.text().contains("the name S5 is taken"),
        "{}",
        refused.text()
    );
    assert_eq!(
        engine.containers().len(),
        4,
        "all or nothing: 3 and the lock"
    );
    let added = program.command("add 2 S4 lion");
    assert!(added.contains("S4") && added.contains("lion"), "{added}");
    let removed = program.command("rm 2 S2 S4");
    assert!(
        !removed.contains("S2") && removed.contains("lion"),
        "{removed}"
    );
    assert_eq!(engine.containers().len(), 4);
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
    for stranger in strangers.drain(..) {
        assert_eq!(inspect(&stranger)["State"]["Running"], true);
        assert_eq!(inspect(&stranger)["RestartCount"], 0);
    }
}

#[test]
fn a_killed_balancer_finds_the_same_containers_again() {
    let Some(engine) = Docker::fleet("again") else {
        return;
    };
    let program = engine.balancer(&[]);
    program.command("add 2 S4 lion");
    let started = |name: &str| inspect(&engine.name(name))["State"]["StartedAt"].to_string();
    let before: Vec<_> = ["S1", "S2", "S3", "S4", "lion"].map(started).into();
    let containers = engine.containers();
    program.kill();
    let program = engine.balancer(&[]);
    assert_eq!(program.rep(), ["S1", "S2", "S3", "S4", "lion"]);
    let is_replica = |line: &&String| !line.contains("-lock ");
    let replicas = |list: &[String]| list.iter().filter(is_replica).cloned().collect::<Vec<_>>();
    // On a busy machine a replica that does not answer at once gets a successor, which is withdrawn
    // again.
    eventually(TEST_TIMEOUT, "the containers of before", || {
        replicas(&engine.containers()) == replicas(&containers)
    });
    let after: Vec<_> = ["S1", "S2", "S3", "S4", "lion"].map(started).into();
    assert_eq!(after, before, "none was started again");
    assert!(
        program.log().contains("took over the lock of process"),
        "{}",
        program.log()
    );

    // A replica that dies while no balancer runs is replaced by the next balancer.
    program.kill();
    docker(&["kill", &engine.name("S2")]);
    let program = engine.balancer(&[]);
    let rep = program.rep();
    assert!(rep.len() == 5 && rep[1].starts_with("s-"), "{rep:?}");
    assert_eq!(program.event("down", 2)["name"], "S2");
    assert!(program.stop().success());
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}

#[test]
fn two_fleets_share_an_engine_and_one_fleet_has_one_balancer() {
    let (Some(red), Some(blue)) = (Docker::fleet("red"), Docker::fleet("blue")) else {
        return;
    };
    let first: Ringmaster = red.balancer(&["--replicas", "2"]);
    let second = blue.balancer(&["--replicas", "1"]);
    let others = blue.containers();
    let refused = end_of(program().args(SERVE).args(red.flags()));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(errors.contains("another balancer runs fleet"), "{errors}");
    assert_eq!(first.rep(), ["S1", "S2"]);
    assert!(first.stop().success());
    assert!(red.containers().is_empty(), "{:?}", red.containers());
    assert_eq!(blue.containers(), others);
    docker(&["rm", "-f", &blue.name("S1")]);
    second.event("replaced", 1);
    assert!(second.stop().success());
}

#[test]
fn a_missing_prerequisite_is_named() {
    let Some(engine) = Docker::fleet("missing") else {
        return;
    };
    let fails = |args: &[&str], sentence: &str| {
        let output = end_of(
            program()
                .args(SERVE)
                .args(["--engine", "docker"])
                .args(args),
        );
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(sentence), "{errors}");
    };
    fails(
        &[],
        "outside a container replicas need an image: --image NAME",
    );
    fails(
        &["--image", "no-such/image:1"],
        "the engine has no image no-such/image:1; build it",
    );
    let own = &engine.flags()[2..];
    let network = [own, &["--network", "no-such-network"]].concat();
    fails(&network, "the engine has no network no-such-network");
    fails(
        &[own, &["--trust-gateway"]].concat(),
        "we are in no container on a bridge",
    );
    assert!(engine.containers().is_empty(), "{:?}", engine.containers());
}
