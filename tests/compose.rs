//! The container way of running, as a user runs it: `make up`, the documented lines,
//! `docker-compose down`; and the recovery after everything was killed.
//!
//! This is a test program of its own, because building the image takes all cores for a minute,
//! which would spoil the times that other tests measure. Without an engine or compose its tests are
//! skipped, with a line on standard error.

#[path = "compose/project.rs"]
mod project;

use std::path::Path;

use project::{Project, docker};
use serde_json::json;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

#[test]
fn the_files_suit_old_and_new_tools() {
    let compose = text("docker/compose.yaml");
    for line in compose.lines() {
        let key = line.split(':').next().unwrap_or_default();
        let strange = ["name", "version"].contains(&key);
        assert!(!strange, "one version of compose minds: {line}");
    }
    let dockerfile = text("docker/Dockerfile");
    for new in ["RUN --", "COPY --chmod", "# syntax="] {
        assert!(!dockerfile.contains(new), "the legacy builder minds: {new}");
    }
    let version = concat!("image.version=\"", env!("CARGO_PKG_VERSION"), "\"");
    assert!(dockerfile.contains(version), "{version}");
    for set in [
        "COMPOSE_FILE=docker/compose.yaml",
        "COMPOSE_PROJECT_NAME=ringmaster",
    ] {
        assert!(text(".env").lines().any(|line| line == set), "{set}");
    }
}

#[test]
fn the_documented_lines_do_what_they_say_and_down_leaves_nothing() {
    let Some(project) = Project::up("lines") else {
        return;
    };
    let (status, body) = project.http("GET", "/home", "");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"Hello from Server: "), "{body}");
    let lines = [
        (
            "GET",
            "/rep",
            "",
            200,
            r#"{"message":{"N":3,"replicas":["S1","S2","S3"]},"status":"successful"}"#,
        ),
        (
            "POST",
            "/add",
            r#"{"n":2,"hostnames":["S4","S5"]}"#,
            200,
            r#"{"message":{"N":5,"replicas":["S1","S2","S3","S4","S5"]},"status":"successful"}"#,
        ),
        (
            "DELETE",
            "/rm",
            r#"{"n":2,"hostnames":["S4","S5"]}"#,
            200,
            r#"{"message":{"N":3,"replicas":["S1","S2","S3"]},"status":"successful"}"#,
        ),
        (
            "GET",
            "/other",
            "",
            400,
            r#"{"message":"<Error> '/other' endpoint does not exist in server replicas","status":"failure"}"#,
        ),
    ];
    for (method, path, body, status, answer) in lines {
        let (got, answered) = project.http(method, path, body);
        assert_eq!(
            (got, answered.trim_end()),
            (status, answer),
            "{method} {path}"
        );
    }
    assert_eq!(project.netcat("rep"), "N 3\nS1\nS2\nS3\n\n");
    assert_eq!(project.replicas().len(), 3);
    let printed = project.printed_addresses();
    assert_eq!(printed, project.published_addresses(), "as users see them");
    project.compose("down");
    project.expect_nothing_left();
}

#[test]
fn the_balancer_is_confined_and_a_check_is_on_it_alone() {
    let Some(project) = Project::up("confined") else {
        return;
    };
    let seen = project.inspect(&project.balancer());
    let host = &seen["HostConfig"];
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(
        host["SecurityOpt"],
        json!(["no-new-privileges:true", "label:disable"])
    );
    assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped");
    assert_eq!(seen["Config"]["User"], "0:0");
    assert_eq!(seen["Config"]["StopTimeout"], 45);
    let addresses = ["5000/tcp", "5001/tcp"].map(|port| {
        let bound = host["PortBindings"][port].as_array().map(Vec::len);
        assert_eq!(bound, Some(1), "{}", host["PortBindings"]);
        host["PortBindings"][port][0]["HostIp"].clone()
    });
    assert_eq!(addresses, ["0.0.0.0", "127.0.0.1"]);
    project.expect_healthy();
    for replica in project.replicas() {
        let health = &project.inspect(&replica)["State"]["Health"];
        assert!(health.is_null(), "{health}");
    }
}

#[test]
fn a_foreign_container_on_the_network_may_not_command() {
    let Some(project) = Project::up("stranger") else {
        return;
    };
    let body = r#"{"n":1}"#;
    let request = format!(
        "POST /add HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\nContent-Length: {}\\r\\n\\r\\n{body}",
        body.len()
    );
    let answer = project.heard_from_another_container(5000, &request);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(
        answer.contains("<Error> /add is for local peers, you are "),
        "{answer}"
    );
    let answer = project.heard_from_another_container(5001, "add 1\\n");
    assert!(
        answer.starts_with("ERR /add is for local peers, you are "),
        "{answer}"
    );
    let hello = "GET /home HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n";
    let answer = project.heard_from_another_container(5000, hello);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(project.replicas().len(), 3);
}

#[test]
fn the_fleet_comes_back_after_a_crash_of_everything() {
    let Some(project) = Project::up("crash") else {
        return;
    };
    project.netcat("add 1 lion");
    let before = project.started();
    assert_eq!(before.len(), 4);

    docker(&["kill", &project.balancer()]);
    project.compose("up -d");
    project.expect_ready();
    assert_eq!(
        project.started(),
        before,
        "the same containers, none started again"
    );
    assert_eq!(project.netcat("rep"), "N 4\nS1\nS2\nS3\nlion\n\n");

    // As after a reboot: every container has ended.
    let all = [vec![project.balancer()], project.replicas()].concat();
    for container in &all {
        docker(&["kill", container]);
    }
    project.compose("up -d");
    project.expect_ready();
    project.expect_rep("four under new names", |names| {
        names.len() == 4 && names.iter().all(|name| name.starts_with("s-"))
    });
    assert_eq!(project.replicas().len(), 4, "the ended ones are removed");
}

#[test]
fn make_down_removes_what_a_killed_balancer_left() {
    let Some(project) = Project::up("down") else {
        return;
    };
    docker(&["kill", &project.balancer()]);
    assert_eq!(project.replicas().len(), 3);
    project.run("make down");
    project.expect_nothing_left();
}

#[test]
fn an_image_of_ones_own_runs_as_its_example_says() {
    let Some(project) = Project::of_own_image("own") else {
        return;
    };
    let visits = (0..6).map(|id| project.http("GET", &format!("/?id={id}"), ""));
    let visits: Vec<(u16, String)> = visits.collect();
    for (status, body) in &visits {
        assert!(*status == 200 && body.contains(" in seat "), "{visits:?}");
    }
    let sizes = visits
        .iter()
        .filter_map(|(_, body)| body.rsplit(' ').next());
    let sizes: Vec<u32> = sizes.filter_map(|size| size.trim().parse().ok()).collect();
    assert!(
        sizes.len() == 6 && sizes.is_sorted(),
        "one volume: {visits:?}"
    );
    for replica in project.replicas() {
        let seen = project.inspect(&replica);
        assert_eq!(seen["Config"]["User"], "65534:65534");
        assert_eq!(seen["Config"]["StopSignal"], "SIGINT");
        assert_eq!(seen["Config"]["Labels"]["com.example.team"], "web");
        assert_eq!(seen["HostConfig"]["ReadonlyRootfs"], true);
        assert_eq!(seen["HostConfig"]["CapDrop"], json!(["ALL"]));
    }
    let file = "-f docker/examples/own-image/compose.yaml";
    project.compose(&format!("{file} down"));
    project.expect_nothing_left();
    let volume = format!("{}-data", project.name());
    docker(&["volume", "rm", &volume]);
}

#[test]
fn a_balancer_without_the_engines_socket_runs_as_its_example_says() {
    let Some(project) = Project::of_engine_proxy("proxied") else {
        return;
    };
    docker(&["kill", &format!("{}-S2", project.name())]);
    project.expect_rep("a successor of S2", |names| {
        names.len() == 3 && names.iter().any(|name| name.starts_with("s-"))
    });
    assert!(project.netcat("add 1").starts_with("N 4\n"));
    let mounts = |service: &str| {
        let seen = project.inspect(&project.container_of(service));
        let mounts = seen["Mounts"].as_array().cloned().unwrap_or_default();
        let sources = mounts.iter().map(|mount| mount["Destination"].to_string());
        (seen, sources.collect::<Vec<_>>())
    };
    let (balancer, seen) = mounts("ringmaster");
    assert_eq!(seen, ["\"/run/ringmaster\""], "no socket of the engine");
    assert_eq!(balancer["HostConfig"]["CapDrop"], json!(["ALL"]));
    let (proxy, _) = mounts("engine-proxy");
    assert_eq!(proxy["HostConfig"]["NetworkMode"], "none");
    assert_eq!(proxy["HostConfig"]["CapDrop"], json!(["ALL"]));
    assert_eq!(proxy["HostConfig"]["ReadonlyRootfs"], true);
    let printed = project.run(&format!(
        "docker logs {} 2>&1",
        project.container_of("engine-proxy")
    ));
    assert!(!printed.contains("denied"), "{printed}");
    let file = "-f docker/examples/engine-proxy/compose.yaml";
    project.compose(&format!("{file} down -v"));
    project.expect_nothing_left();
}
