//! Options for an image of one's own: volumes, a user, capabilities, a command; and the pull of the
//! image with the credentials of the docker client.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{
    Docker, FakeDocker, FaultMode, Ringmaster, TEST_TIMEOUT, docker, end_of, eventually,
    fresh_path, inspect,
};

#[test]
fn options_loosen_the_confinement_as_asked_and_no_further() {
    let Some(engine) = Docker::fleet("options") else {
        return;
    };
    let folder = fresh_path("volume");
    std::fs::create_dir(&folder).expect("a folder");
    let volume = format!("{}:/data:ro", folder.display());
    let flags = [
        "--replicas=1",
        "--replica-volume",
        &volume,
        "--replica-tmpfs=/run:size=1m",
        "--replica-user=65534:65534",
        "--replica-cap-add=NET_BIND_SERVICE",
        "--replica-read-only=false",
        "--replica-pids=99",
        "--replica-log-opt=max-file=2",
        "--replica-label=com.example.team=web",
        "--replica-stop-signal=SIGINT",
        "--replica-stop-timeout=7s",
        "--replica-command=--listen '0.0.0.0:5000'",
    ];
    let program = engine.balancer(&flags);
    let seen = inspect(&engine.name("S1"));
    let (host, config) = (&seen["HostConfig"], &seen["Config"]);
    assert_eq!(host["Binds"], json!([volume]));
    assert_eq!(host["Tmpfs"]["/run"], "size=1m");
    assert_eq!(host["Tmpfs"]["/tmp"], "size=16m,noexec,nosuid,nodev");
    assert_eq!(config["User"], "65534:65534");
    assert_eq!(host["CapAdd"], json!(["NET_BIND_SERVICE"]));
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert_eq!(host["ReadonlyRootfs"], false);
    assert_eq!(host["PidsLimit"], 99);
    let log = json!({"Type": "json-file", "Config": {"max-file": "2", "max-size": "1m"}});
    assert_eq!(host["LogConfig"], log);
    assert_eq!(config["Labels"]["com.example.team"], "web");
    assert_eq!(config["Labels"]["ringmaster.seat"], "1");
    assert_eq!(config["StopSignal"], "SIGINT");
    assert_eq!(config["Cmd"], json!(["--listen", "0.0.0.0:5000"]));
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
    assert!(program.stop().success());
    std::fs::remove_dir(folder).expect("it is empty");
}

/// The docker client's configuration, with credentials for one registry.
fn client_config() -> std::path::PathBuf {
    let folder = fresh_path("docker-config");
    std::fs::create_dir(&folder).expect("a folder");
    // "alice:secret" in base64 (RFC 4648).
    let auths = json!({"auths": {"registry.example:5000": {"auth": "YWxpY2U6c2VjcmV0"}}});
    std::fs::write(folder.join("config.json"), auths.to_string()).expect("a file");
    folder
}

/// Decodes the header by which the engine gets credentials.
fn decoded(header: &str) -> Value {
    let mut decode = Command::new("base64");
    decode
        .arg("--decode")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = decode.spawn().expect("base64(1)");
    // The URL-safe alphabet (RFC 4648 §5) in the ordinary one.
    let ordinary = header.replace('-', "+").replace('_', "/");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(ordinary.as_bytes()).expect("a pipe");
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn start(engine: &FakeDocker, flags: &[&str]) -> Ringmaster {
    let mut command = engine.command();
    command.env("DOCKER_CONFIG", client_config());
    let port = engine.port().to_string();
    let own = ["--engine=docker", "--replicas=1", "--replica-port", &port];
    Ringmaster::launch(command, &[&own[..], flags].concat()).ready()
}

#[test]
fn a_missing_image_is_pulled_with_the_credentials_of_its_registry() {
    let engine = FakeDocker::start();
    engine.inject("GET /images", FaultMode::Status(404), 1);
    let program = start(&engine, &["--image=registry.example:5000/app"]);
    program.expect_log("pulling image registry.example:5000/app");
    let [(query, credentials)] = &engine.pulls()[..] else {
        panic!("{:?}", engine.pulls());
    };
    let image = "fromImage=registry.example%3A5000%2Fapp%3Alatest";
    assert!(query.starts_with(image), "{query}");
    let credentials = decoded(credentials);
    assert_eq!(credentials["username"], "alice");
    assert_eq!(credentials["password"], "secret");
    assert!(!program.log().contains("secret"));
}

#[test]
fn an_image_is_pulled_when_the_flag_says_so() {
    let engine = FakeDocker::start();
    for (flag, present, pulls) in [
        ("--pull=missing", true, 0),
        ("--pull=never", true, 0),
        ("--pull=always", true, 1),
        ("--pull=missing", false, 1),
    ] {
        if !present {
            engine.inject("GET /images", FaultMode::Status(404), 1);
        }
        let before = engine.pulls().len();
        let program = start(&engine, &["--image=other/app:1", flag]);
        assert_eq!(engine.pulls().len() - before, pulls, "{flag} {present}");
        assert!(program.stop().success());
    }
    let anonymous = engine.pulls();
    assert!(
        anonymous.iter().all(|(query, auth)| {
            query.starts_with("fromImage=other%2Fapp%3A1")
                && (auth.is_empty() || decoded(auth) == json!({}))
        }),
        "{anonymous:?}"
    );
}

#[test]
fn a_pull_that_fails_is_an_error_with_its_reason() {
    let engine = FakeDocker::start();
    for (flag, faults, sentence) in [
        (
            "--pull=never",
            &["GET /images"][..],
            "the engine has no image app; build it, or fetch it with: docker pull app",
        ),
        (
            "--pull=missing",
            &["GET /images", "POST /images/create"],
            "docker pull app; pulling it failed: a mood",
        ),
        (
            "--pull=always",
            &["POST /images/create"],
            "cannot pull image app (--pull always): a mood",
        ),
    ] {
        for fault in faults {
            engine.inject(fault, FaultMode::Status(404), 1);
        }
        let mut command = engine.command();
        command.args(["serve", "--engine=docker", "--image=app", flag]);
        command.args(["--listen=127.0.0.1:0", "--control=127.0.0.1:0"]);
        let output = end_of(&mut command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(sentence), "{errors}");
        assert!(engine.containers().is_empty());
    }
}

#[test]
fn a_container_that_ignores_its_signal_has_the_stop_timeout() {
    let Some(engine) = Docker::fleet("grace") else {
        return;
    };
    // SIGWINCH ends no program that does not ask for it (signal(7)).
    let flags = [
        "--replica-stop-signal=SIGWINCH",
        "--replica-stop-timeout=3s",
    ];
    let program = engine.balancer(&[&flags[..], &["--replicas=2"]].concat());
    let begun = std::time::Instant::now();
    assert!(program.command("rm 1 S2").starts_with("N 1\n"));
    assert!(begun.elapsed() >= std::time::Duration::from_secs(3));
    eventually(TEST_TIMEOUT, "it is gone", || {
        !docker(&["ps", "-a", "--format", "{{.Names}}"]).contains(&engine.name("S2"))
    });
    assert!(program.stop().success());
}
