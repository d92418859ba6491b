//! Flags of containers: their defaults, and one that is given.

use super::*;
use crate::fleet::{ContainerOptions, ContainerSettings, Image, PullPolicy};

#[test]
fn containers_are_asked_for_with_their_defaults() {
    let config = check(&["--engine", "docker"]).unwrap();
    assert!(config.proxy.admin.is_some(), "the replicas are ours");
    let ReplicaSource::Docker(containers) = config.replicas else {
        panic!("not docker")
    };
    let expected = ContainerSettings {
        count: 3,
        image: Image::Own,
        port: 5000,
        env: Vec::new(),
        memory: 64 * 1024 * 1024,
        nano_cpus: None,
        network: None,
        fleet: "ringmaster".to_owned(),
        keep: false,
        trust_gateway: false,
        options: Box::new(ContainerOptions {
            volumes: Vec::new(),
            tmpfs: Vec::new(),
            user: None,
            cap_add: Vec::new(),
            read_only: true,
            pids: 256,
            log_driver: None,
            log_opts: Vec::new(),
            labels: Vec::new(),
            command: None,
            stop_signal: None,
        }),
        stop_timeout: Duration::from_secs(10),
        pull: PullPolicy::Missing,
    };
    assert_eq!(containers, expected);
    let flags = [
        "--engine",
        "docker",
        "--image",
        "x",
        "--replica-cpus",
        "1.5",
    ];
    let config = check(&flags).unwrap();
    assert!(config.proxy.admin.is_none(), "their /add is theirs");
    match config.replicas {
        ReplicaSource::Docker(own) => assert_eq!(own.nano_cpus, Some(1_500_000_000)),
        other => panic!("{other:?}"),
    }
}
