//! What containers are made of: names, labels, network, confinement. Everything that is the same for all
//! replicas of a fleet is in the [`Recipe`].
//!
//! It makes nothing itself. Surprising: a container's name and its replica's name are the same only in
//! the default fleet; in any other the fleet's name comes before it, so that two fleets on one engine do
//! not fight for S1.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
};

use crate::fleet::engine::server_id;
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Whose a container is. Every container of ours has it; no other is ever touched.
pub(super) const FLEET_LABEL: &str = "ringmaster.fleet";
/// The seat a container was made for, or [`STANDBY`]; labels cannot change when it gets one.
pub(super) const SEAT_LABEL: &str = "ringmaster.seat";
/// What stands there for a container that was made for no seat.
pub(super) const STANDBY: &str = "standby";
/// The name of a container's replica.
pub(super) const NAME_LABEL: &str = "ringmaster.name";
/// Who holds the lock; only the lock has it.
pub(super) const OWNER_LABEL: &str = "ringmaster.owner";
/// What an image is called for people (OCI image spec, annotations); our own calls itself [`OUR_TITLE`].
pub(super) const TITLE_LABEL: &str = "org.opencontainers.image.title";
/// The title of the image that holds this program and the bundled replica.
pub(super) const OUR_TITLE: &str = "ringmaster";
/// The fleet whose containers are named after their replicas alone.
pub(super) const DEFAULT_FLEET: &str = "ringmaster";
/// Where our own image has the bundled replica.
pub(super) const BUNDLED: &str = "/replica";

/// The most processes and threads in a container.
const MAX_PIDS: i64 = 256;
/// The most that the engine keeps of what a container writes.
const LOG_SIZE: &str = "1m";
/// The one folder that can be written to, and its limit; it counts as memory.
const SCRATCH_MOUNT: (&str, &str) = ("/tmp", "size=16m,noexec,nosuid,nodev");

/// What all replicas of a fleet are made of.
#[derive(Debug)]
pub(super) struct ContainerTemplate {
    pub(super) fleet: String,
    /// The ID of the image, so that all are made of the same one whatever its name means tomorrow.
    pub(super) image: String,
    /// What the image is called by whoever runs this.
    pub(super) image_name: String,
    /// What to run instead of what the image says.
    pub(super) entrypoint: Option<&'static str>,
    /// Where replicas listen.
    pub(super) port: u16,
    /// More of their environment, as `K=V`.
    pub(super) env: Vec<String>,
    /// In bytes.
    pub(super) memory: i64,
    /// In billionths of a CPU.
    pub(super) nano_cpus: Option<i64>,
    /// The network: its ID, or the name of one that every engine has.
    pub(super) network: String,
    /// Whether it knows aliases.
    pub(super) aliases: bool,
}

impl ContainerTemplate {
    /// What the container of this replica is called.
    pub(super) fn container_name(&self, replica: &str) -> String {
        match self.fleet.as_str() {
            DEFAULT_FLEET => replica.to_owned(),
            fleet => format!("{fleet}-{replica}"),
        }
    }

    /// What the lock of the fleet is called.
    pub(super) fn lock_name(&self) -> String {
        format!("{}-lock", self.fleet)
    }

    /// A container for `name` in `seat`, or for a standby.
    pub(super) fn replica(&self, seat: Option<Seat>, name: &ReplicaName) -> ContainerCreateBody {
        let mut env = vec![
            format!("SERVER_ID={}", server_id(seat)),
            format!("REPLICA_NAME={name}"),
            format!("REPLICA_LISTEN=0.0.0.0:{}", self.port),
        ];
        env.extend(self.env.iter().cloned());
        let mut labels = self.labels(&format!("ringmaster replica {name}"));
        let label = seat.map_or_else(|| STANDBY.to_owned(), |seat| seat.to_string());
        labels.insert(SEAT_LABEL.to_owned(), label);
        labels.insert(NAME_LABEL.to_owned(), name.to_string());
        let endpoint = EndpointSettings {
            aliases: self.aliases.then(|| vec![name.to_string()]),
            ..Default::default()
        };
        let endpoints = HashMap::from([(self.network.clone(), endpoint)]);
        // Our image's own check asks for a control port, and a replica has none.
        let unchecked = HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..Default::default()
        };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            entrypoint: self.entrypoint.map(|path| vec![path.to_owned()]),
            cmd: self.entrypoint.map(|_| Vec::new()),
            healthcheck: self.entrypoint.map(|_| unchecked),
            hostname: Some(name.to_string()),
            env: Some(env),
            labels: Some(labels),
            host_config: Some(self.confinement()),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(endpoints),
            }),
            ..Default::default()
        }
    }

    /// The lock, held by `owner`: a container that is never started.
    pub(super) fn lock(&self, owner: &str) -> ContainerCreateBody {
        let mut labels = self.labels("ringmaster lock");
        labels.insert(OWNER_LABEL.to_owned(), owner.to_owned());
        ContainerCreateBody {
            image: Some(self.image.clone()),
            entrypoint: Some(vec!["/never-started".to_owned()]),
            labels: Some(labels),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn labels(&self, title: &str) -> HashMap<String, String> {
        HashMap::from([
            (FLEET_LABEL.to_owned(), self.fleet.clone()),
            (TITLE_LABEL.to_owned(), title.to_owned()),
        ])
    }

    fn confinement(&self) -> HostConfig {
        let (folder, limit) = SCRATCH_MOUNT;
        HostConfig {
            network_mode: Some(self.network.clone()),
            // The fleet replaces the dead; an engine that did the same would bring back corpses.
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            cap_drop: Some(vec!["ALL".to_owned()]),
            readonly_rootfs: Some(true),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            memory: Some(self.memory),
            memory_swap: Some(self.memory),
            nano_cpus: self.nano_cpus,
            pids_limit: Some(MAX_PIDS),
            tmpfs: Some(HashMap::from([(folder.to_owned(), limit.to_owned())])),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([(
                    "max-size".to_owned(),
                    LOG_SIZE.to_owned(),
                )])),
            }),
            ..Default::default()
        }
    }
}
