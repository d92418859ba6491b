//! The specification of containers: names, labels, network, confinement. The part that all replicas
//! of a fleet share is the [`ContainerTemplate`].
//!
//! It creates nothing itself. A container has the name of its replica only in the default fleet. In
//! any other fleet the fleet's name comes first, so that two fleets on one engine do not collide on
//! S1.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
};

use super::settings::{ContainerOptions, ContainerSettings, PullPolicy};
use super::wanted_seats::WantedSeats;
use crate::fleet::engine::interface::server_id;
use crate::fleet::version::ImageVersion;
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Label with the name of the fleet. All our containers have it; no other container is ever
/// changed.
pub const FLEET_LABEL: &str = "ringmaster.fleet";
/// Label with the seat that a container was created for, or [`STANDBY`]. It cannot change later.
pub const SEAT_LABEL: &str = "ringmaster.seat";
/// Value of [`SEAT_LABEL`] for a container that was created without a seat.
pub(super) const STANDBY: &str = "standby";
/// Label with the name of the replica.
pub(super) const NAME_LABEL: &str = "ringmaster.name";
/// Label with the name of the image.
pub(super) const IMAGE_LABEL: &str = "ringmaster.image";
/// Label with the image of the settings, on a container that got another image by order.
pub(super) const INSTEAD_OF_LABEL: &str = "ringmaster.instead-of";
/// Label with the owner of the lock; only the lock has it.
pub const OWNER_LABEL: &str = "ringmaster.owner";
/// Label with the wanted seats, as `1,2,5`; only the lock has it.
pub(super) const SEATS_LABEL: &str = "ringmaster.seats";
/// Label with the title of an image (OCI image spec, annotations); our own is [`OUR_TITLE`].
pub(super) const TITLE_LABEL: &str = "org.opencontainers.image.title";
/// Title of the image that holds this program and the bundled replica.
pub(super) const OUR_TITLE: &str = "ringmaster";
/// Name of the fleet whose containers have the plain names of their replicas.
pub(super) const DEFAULT_FLEET: &str = "ringmaster";
/// Path of the bundled replica in our own image.
pub(super) const BUNDLED: &str = "/replica";

/// Log driver without `--replica-log-driver`, and its limit.
const LOG_DRIVER: &str = "json-file";
const LOG_LIMIT: (&str, &str) = ("max-size", "1m");
/// The one writable folder and its mount options; its content counts as memory.
const SCRATCH_MOUNT: (&str, &str) = ("/tmp", "size=16m,noexec,nosuid,nodev");

/// The container settings that all replicas of a fleet share.
#[derive(Debug)]
pub(super) struct ContainerTemplate {
    pub(super) fleet: String,
    /// Image of the settings.
    pub(super) image: ImageVersion,
    /// Time of the pull of another image.
    pub(super) pull: PullPolicy,
    /// Port on which replicas listen.
    pub(super) port: u16,
    /// Additional environment variables, as `K=V`.
    pub(super) env: Vec<String>,
    /// Memory limit, in bytes.
    pub(super) memory: i64,
    /// CPU limit, in billionths of a CPU.
    pub(super) nano_cpus: Option<i64>,
    /// ID of the network, or the name of a built-in one.
    pub(super) network: String,
    /// `true` if the network supports aliases.
    pub(super) aliases: bool,
    /// Changes of the confinement.
    pub(super) options: Box<ContainerOptions>,
    /// Time between the signal that ends a container and its kill.
    pub(super) stop_timeout: Duration,
}

impl ContainerTemplate {
    /// Returns the template of these settings, for a network and `true` if it supports aliases.
    pub(super) fn new(
        settings: &ContainerSettings,
        image: ImageVersion,
        (network, aliases): (String, bool),
    ) -> Self {
        Self {
            fleet: settings.fleet.clone(),
            image,
            pull: settings.pull,
            port: settings.port,
            env: settings.env.clone(),
            memory: settings.memory,
            nano_cpus: settings.nano_cpus,
            network,
            aliases,
            options: settings.options.clone(),
            stop_timeout: settings.stop_timeout,
        }
    }

    /// Returns the name of a replica's container.
    pub(super) fn container_name(&self, replica: &str) -> String {
        match self.fleet.as_str() {
            DEFAULT_FLEET => replica.to_owned(),
            fleet => format!("{fleet}-{replica}"),
        }
    }

    /// Returns the name of the fleet's lock.
    pub(super) fn lock_name(&self) -> String {
        lock_name(&self.fleet)
    }

    /// Returns the name of a lock that is about to replace the fleet's lock.
    pub(super) fn next_lock_name(&self) -> String {
        format!("{}-lock-next", self.fleet)
    }

    /// Returns the specification of a container for `name` in `seat`, or for a standby.
    pub(super) fn replica(
        &self,
        seat: Option<Seat>,
        name: &ReplicaName,
        image: &ImageVersion,
    ) -> ContainerCreateBody {
        let mut env = vec![
            format!("SERVER_ID={}", server_id(seat)),
            format!("REPLICA_NAME={name}"),
            format!("REPLICA_LISTEN=0.0.0.0:{}", self.port),
        ];
        env.extend(self.env.iter().cloned());
        let mut labels = self.labels(&format!("ringmaster replica {name}"));
        labels.extend(self.options.labels.iter().cloned());
        let label = seat.map_or_else(|| STANDBY.to_owned(), |seat| seat.to_string());
        labels.insert(SEAT_LABEL.to_owned(), label);
        labels.insert(NAME_LABEL.to_owned(), name.to_string());
        labels.insert(IMAGE_LABEL.to_owned(), image.name.clone());
        // A name that was moved is no other image.
        if image.name != self.image.name {
            labels.insert(INSTEAD_OF_LABEL.to_owned(), self.image.name.clone());
        }
        let endpoint = EndpointSettings {
            aliases: self.aliases.then(|| vec![name.to_string()]),
            ..Default::default()
        };
        let endpoints = HashMap::from([(self.network.clone(), endpoint)]);
        // Our image's own health check probes a control port, and a replica has none.
        let no_health_check = HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..Default::default()
        };
        let command = self.options.command.clone();
        // Our own image holds two programs.
        let entrypoint = image.is_ours.then_some(BUNDLED);
        ContainerCreateBody {
            // By its ID, so that all replicas run the same image even if its name is moved.
            image: Some(image.id.clone()),
            entrypoint: entrypoint.map(|path| vec![path.to_owned()]),
            cmd: command.or_else(|| entrypoint.map(|_| Vec::new())),
            user: self.options.user.clone(),
            stop_signal: self.options.stop_signal.clone(),
            healthcheck: entrypoint.map(|_| no_health_check),
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

    /// Returns the specification of the lock of `owner`, with the wanted seats: a container that is
    /// never started.
    pub(super) fn lock(&self, owner: &str, seats: &WantedSeats) -> ContainerCreateBody {
        let mut labels = self.labels("ringmaster lock");
        labels.insert(OWNER_LABEL.to_owned(), owner.to_owned());
        labels.insert(SEATS_LABEL.to_owned(), seats.to_string());
        ContainerCreateBody {
            image: Some(self.image.id.clone()),
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
        let options = &self.options;
        let (folder, limit) = SCRATCH_MOUNT;
        let mut tmpfs = HashMap::from([(folder.to_owned(), limit.to_owned())]);
        // Without options of its own `/tmp` keeps its limit.
        let is_default = |path: &str, given: &str| path == folder && given.is_empty();
        let more = options.tmpfs.iter();
        let more = more.filter(|(path, given)| !is_default(path, given));
        tmpfs.extend(more.cloned());
        HostConfig {
            network_mode: Some(self.network.clone()),
            // The fleet replaces dead replicas; the engine must not restart them as well.
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: some_if_any(&options.cap_add),
            readonly_rootfs: Some(options.read_only),
            binds: some_if_any(&options.volumes),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            memory: Some(self.memory),
            memory_swap: Some(self.memory),
            nano_cpus: self.nano_cpus,
            pids_limit: Some(options.pids),
            tmpfs: Some(tmpfs),
            log_config: Some(self.log_config()),
            ..Default::default()
        }
    }

    /// Returns the log driver and its options. The options of the flags win over the limit.
    fn log_config(&self) -> HostConfigLogConfig {
        let driver = self.options.log_driver.as_deref().unwrap_or(LOG_DRIVER);
        let mut config = HashMap::new();
        if driver == LOG_DRIVER {
            let (option, limit) = LOG_LIMIT;
            config.insert(option.to_owned(), limit.to_owned());
        }
        config.extend(self.options.log_opts.iter().cloned());
        HostConfigLogConfig {
            typ: Some(driver.to_owned()),
            config: Some(config),
        }
    }
}

/// Returns the name of the lock of a fleet.
#[must_use]
pub fn lock_name(fleet: &str) -> String {
    format!("{fleet}-lock")
}

/// Returns the list, or `None` if it is empty.
fn some_if_any(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

/// Returns the sentence about an image that the engine does not have.
pub(super) fn missing_image(name: &str) -> String {
    format!("the engine has no image {name}; build it, or fetch it with: docker pull {name}")
}
