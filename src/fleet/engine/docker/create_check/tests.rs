//! Bodies: those of a balancer with the same flags, and their twins that are refused.

use super::*;
use crate::fleet::engine::docker::settings::{ContainerOptions, Image, PullPolicy};
use serde_json::json;
use std::time::Duration;

fn settings() -> ContainerSettings {
    ContainerSettings {
        count: 3,
        image: Image::Named("web:1".to_owned()),
        port: 5000,
        env: vec!["COLOUR=blue".to_owned()],
        memory: 64 << 20,
        nano_cpus: None,
        network: None,
        fleet: "own".to_owned(),
        keep: false,
        trust_gateway: false,
        options: Box::new(ContainerOptions {
            volumes: vec!["data:/data".to_owned()],
            tmpfs: Vec::new(),
            user: None,
            cap_add: Vec::new(),
            read_only: true,
            pids: 256,
            log_driver: None,
            log_opts: Vec::new(),
            labels: vec![("team".to_owned(), "a".to_owned())],
            command: None,
            stop_signal: None,
        }),
        stop_timeout: Duration::ZERO,
        pull: PullPolicy::Missing,
    }
}

/// Returns the body of a balancer with these settings for seat 2.
fn replica(settings: &ContainerSettings, image: &ImageVersion) -> Value {
    let own_image = ImageVersion {
        name: "web:1".to_owned(),
        ..image.clone()
    };
    let template = ContainerTemplate::new(settings, own_image, ("n1".to_owned(), true));
    let name: ReplicaName = "S2".parse().unwrap();
    serde_json::to_value(template.replica(Some(Seat(2)), &name, image)).unwrap()
}

fn image(name: &str, is_ours: bool) -> ImageVersion {
    ImageVersion {
        name: name.to_owned(),
        id: "sha256:1".to_owned(),
        is_ours,
    }
}

fn lock() -> Value {
    json!({"Image": "sha256:1", "Entrypoint": ["/never-started"],
           "Labels": {"ringmaster.fleet": "own", "ringmaster.owner": "container ab",
                      "ringmaster.seats": "1,2", "org.opencontainers.image.title": "ringmaster lock"},
           "HostConfig": {"NetworkMode": "none"}})
}

#[test]
fn a_replica_of_the_same_flags_is_permitted() {
    for is_ours in [false, true] {
        let body = replica(&settings(), &image("web:1", is_ours));
        let checked = check_create(&settings(), "own-S2", &body).unwrap();
        assert_eq!(checked.body, body);
        assert_eq!(checked.image_id, "sha256:1");
        assert_eq!(checked.image_names, ["web:1"]);
        assert_eq!(checked.network.as_deref(), Some("n1"));
    }
    let ordered = replica(&settings(), &image("web:2", false));
    let checked = check_create(&settings(), "own-S2", &ordered).unwrap();
    assert_eq!(checked.image_names, ["web:2", "web:1"], "by order");
}

#[test]
fn a_standby_and_a_lock_are_permitted() {
    let mut body = replica(&settings(), &image("web:1", false));
    body["Labels"]["ringmaster.seat"] = json!("standby");
    body["Env"][0] = json!("SERVER_ID=0");
    assert!(check_create(&settings(), "own-S2", &body).is_ok());
    for (name, is_permitted) in [
        ("own-lock", true),
        ("own-lock-next", true),
        ("own-S2", false),
        ("other-lock", false),
    ] {
        let checked = check_create(&settings(), name, &lock());
        assert_eq!(checked.is_ok(), is_permitted, "{name}");
        assert!(checked.is_err() || checked.is_ok_and(|lock| lock.network.is_none()));
    }
}

/// Returns the refusal of a replica with another value at this place.
fn refusal(path: &str, value: Value) -> String {
    let mut body = replica(&settings(), &image("web:1", false));
    let (parent, key) = path.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[key] = value;
    check_create(&settings(), "own-S2", &body).expect_err(path)
}

#[test]
fn a_field_that_no_balancer_sends_is_refused() {
    for (path, value) in [
        ("/HostConfig/Privileged", json!(true)),
        ("/HostConfig/Privileged", json!(false)),
        (
            "/HostConfig/Mounts",
            json!([{"Type": "bind", "Source": "/", "Target": "/host"}]),
        ),
        ("/HostConfig/PidMode", json!("host")),
        ("/HostConfig/IpcMode", json!("host")),
        ("/HostConfig/UsernsMode", json!("host")),
        ("/HostConfig/CgroupParent", json!("/")),
        ("/HostConfig/Devices", json!([{"PathOnHost": "/dev/mem"}])),
        ("/HostConfig/DeviceRequests", json!([])),
        ("/HostConfig/VolumesFrom", json!(["other"])),
        (
            "/HostConfig/PortBindings",
            json!({"80/tcp": [{"HostPort": "80"}]}),
        ),
        ("/HostConfig/PublishAllPorts", json!(true)),
        ("/HostConfig/Runtime", json!("x")),
        ("/HostConfig/Sysctls", json!({"a": "b"})),
        ("/HostConfig/AutoRemove", json!(true)),
        ("/HostConfig/CapAdd", json!(["SYS_ADMIN"])),
        ("/HostConfig/CapDrop", json!([])),
        ("/HostConfig/SecurityOpt", json!(["seccomp=unconfined"])),
        ("/HostConfig/RestartPolicy/Name", json!("always")),
        ("/HostConfig/privileged", json!(true)),
        ("/hostconfig", json!({"Privileged": true})),
        ("/Entrypoint", json!(["/bin/sh"])),
        ("/Healthcheck", json!({"Test": ["CMD", "x"]})),
        ("/Volumes", json!({"/": {}})),
        ("/OnBuild", json!(["RUN x"])),
        ("/NetworkingConfig/EndpointsConfig/other", json!({})),
        (
            "/NetworkingConfig/EndpointsConfig/n1/Aliases",
            json!(["db"]),
        ),
        ("/Labels/com.docker.compose.project", json!("x")),
        ("/Labels/ringmaster.fleet", json!("other")),
        ("/Labels/ringmaster.seats", json!("1")),
        ("/Labels/ringmaster.seat", json!("x")),
        ("/Labels/ringmaster.name", json!("S3")),
        ("/Labels/ringmaster.name", json!("../x")),
        ("/Hostname", json!("db")),
    ] {
        refusal(path, value);
    }
    let whole = |body: Value| check_create(&settings(), "own-S2", &body);
    assert!(whole(json!({})).is_err() && whole(json!([])).is_err() && whole(json!(1)).is_err());
}

#[test]
fn a_difference_of_flags_names_the_flag() {
    for (path, value, flag) in [
        ("/HostConfig/Binds", json!(["/:/host"]), "--replica-volume"),
        (
            "/HostConfig/CapAdd",
            json!(["NET_ADMIN"]),
            "--replica-cap-add",
        ),
        ("/HostConfig/Memory", json!(1), "--replica-memory"),
        ("/HostConfig/MemorySwap", json!(-1), "--replica-memory"),
        ("/HostConfig/NanoCpus", json!(1), "--replica-cpus"),
        ("/HostConfig/PidsLimit", json!(0), "--replica-pids"),
        (
            "/HostConfig/ReadonlyRootfs",
            json!(false),
            "--replica-read-only",
        ),
        ("/HostConfig/Tmpfs", json!({}), "--replica-tmpfs"),
        (
            "/HostConfig/LogConfig/Type",
            json!("syslog"),
            "--replica-log-driver",
        ),
        (
            "/HostConfig/LogConfig/Config/a",
            json!("b"),
            "--replica-log-opt",
        ),
        ("/HostConfig/NetworkMode", json!("host"), "--network"),
        ("/Labels/team", json!("b"), "--replica-label"),
        ("/Env/3", json!("LD_PRELOAD=/x"), "--replica-env"),
        ("/Cmd", json!(["x"]), "--replica-command"),
        ("/StopSignal", json!("SIGINT"), "--replica-stop-signal"),
        ("/User", json!("0:0"), "--replica-user"),
    ] {
        let mut body = replica(&settings(), &image("web:1", false));
        if path == "/Env/3" {
            body["Env"][3] = value;
        } else {
            let (parent, key) = path.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[key] = value;
        }
        let refusal = check_create(&settings(), "own-S2", &body).expect_err(path);
        assert!(refusal.contains(flag), "{path}: {refusal}");
    }
}

#[test]
fn the_lock_has_no_field_more() {
    let mut body = lock();
    body["Entrypoint"] = json!(["/bin/sh"]);
    assert!(check_create(&settings(), "own-lock", &body).is_err());
    let mut body = lock();
    body["HostConfig"]["Binds"] = json!(["/:/host"]);
    assert!(check_create(&settings(), "own-lock", &body).is_err());
    let mut body = lock();
    body["HostConfig"]["NetworkMode"] = json!("host");
    assert!(check_create(&settings(), "own-lock", &body).is_err());
    let mut body = lock();
    body["Labels"]["ringmaster.seat"] = json!("1");
    assert!(check_create(&settings(), "own-lock", &body).is_err());
}
