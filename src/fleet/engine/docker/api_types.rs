//! Containers and events as the container engine reports them, cut down to what the fleet
//! needs.
//!
//! Every field of an answer is optional to the client library. The fields that we need are checked
//! here, once.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum, EventMessage, PortBinding,
};

use super::container_id::ContainerId;
use super::network_types::Endpoint;
use super::spec::{
    FLEET_LABEL, IMAGE_LABEL, INSTEAD_OF_LABEL, NAME_LABEL, OWNER_LABEL, SEAT_LABEL, SEATS_LABEL,
    STANDBY,
};
use super::wanted_seats::WantedSeats;
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Base of the exit codes of killed processes: the code is this plus the signal's number.
const SIGNAL_EXIT_BASE: i64 = 128;
/// Maximum length of a container's error message that is kept, in characters.
const MAX_ERROR_CHARS: usize = 200;

/// The labels of a container that this program sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContainerLabels {
    /// Name of the fleet.
    pub(super) fleet: Option<String>,
    /// Seat that it was made for.
    pub(super) seat: Option<SeatLabel>,
    /// Name of its replica.
    pub(super) name: Option<ReplicaName>,
    /// Name of its image.
    pub(super) image: Option<String>,
    /// Image of the settings that its own was ordered in place of.
    pub(super) instead_of: Option<String>,
    /// Owner of the lock, if the container is one.
    pub(super) owner: Option<String>,
    /// Wanted seats, if the container is a lock.
    pub(super) wanted: Option<WantedSeats>,
}

/// The seat label of a replica's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeatLabel {
    /// The container was made for this seat.
    Seat(Seat),
    /// The container was made for a standby.
    Standby,
}

impl SeatLabel {
    fn from_label(label: &str) -> Option<Self> {
        let number = || label.parse().ok().filter(|number| *number > 0);
        match label {
            STANDBY => Some(Self::Standby),
            _ => number().map(|number| Self::Seat(Seat(number))),
        }
    }

    /// Returns the seat; `None` for a standby.
    pub(super) fn seat(self) -> Option<Seat> {
        match self {
            Self::Seat(seat) => Some(seat),
            Self::Standby => None,
        }
    }
}

impl ContainerLabels {
    /// Returns `true` for a replica's container: not the lock, nor a foreign container that has our
    /// fleet label by mistake.
    pub(super) fn is_replica(&self) -> bool {
        self.owner.is_none() && self.seat.is_some()
    }

    fn from_labels(labels: Option<HashMap<String, String>>) -> Self {
        let mut labels = labels.unwrap_or_default();
        Self {
            seat: labels
                .remove(SEAT_LABEL)
                .and_then(|text| SeatLabel::from_label(&text)),
            name: labels.remove(NAME_LABEL).and_then(|name| name.parse().ok()),
            fleet: labels.remove(FLEET_LABEL),
            image: labels.remove(IMAGE_LABEL),
            instead_of: labels.remove(INSTEAD_OF_LABEL),
            owner: labels.remove(OWNER_LABEL),
            wanted: labels
                .remove(SEATS_LABEL)
                .and_then(|seats| seats.parse().ok()),
        }
    }
}

/// A container in a list.
#[derive(Clone, Debug)]
pub(super) struct ListedContainer {
    pub(super) id: ContainerId,
    pub(super) name: String,
    pub(super) labels: ContainerLabels,
    /// `true` if the container runs, according to the list.
    pub(super) runs: bool,
    /// Creation time, in seconds since 1970.
    pub(super) created: i64,
}

impl ListedContainer {
    /// Reads an entry of a list; `None` without an ID or a name.
    pub(super) fn from_summary(summary: ContainerSummary) -> Option<Self> {
        use ContainerSummaryStateEnum as State;
        let names = summary.names.unwrap_or_default();
        Some(Self {
            id: ContainerId::new(&summary.id?)?,
            name: without_slash(names.first()?),
            labels: ContainerLabels::from_labels(summary.labels),
            runs: matches!(
                summary.state,
                Some(State::RUNNING | State::PAUSED | State::RESTARTING)
            ),
            created: summary.created.unwrap_or_default(),
        })
    }
}

/// The state of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RunState {
    /// The container runs or is paused.
    Runs,
    /// The container has ended or was never started; the exit status, in a phrase.
    Ended(String),
}

/// The result of inspecting a container.
#[derive(Clone, Debug)]
pub(super) struct ContainerInfo {
    pub(super) id: ContainerId,
    pub(super) name: String,
    pub(super) labels: ContainerLabels,
    pub(super) run_state: RunState,
    /// Time of its last start.
    pub(super) started: Option<SystemTime>,
    /// ID of its image.
    pub(super) image: String,
    pub(super) endpoints: Vec<Endpoint>,
    /// Its TCP ports that are published on the host, with their addresses there.
    pub(super) published: Vec<(u16, SocketAddr)>,
}

impl ContainerInfo {
    /// Reads an inspection; `None` without an ID, a name or a state.
    pub(super) fn from_inspect(response: ContainerInspectResponse) -> Option<Self> {
        let settings = response.network_settings.unwrap_or_default();
        let published = settings.ports.map_or_else(Vec::new, published_ports);
        let networks = settings.networks;
        let state = response.state?;
        let started = state.started_at.as_deref();
        Some(Self {
            id: ContainerId::new(&response.id?)?,
            name: without_slash(&response.name?),
            labels: ContainerLabels::from_labels(response.config.and_then(|config| config.labels)),
            run_state: run_state(&state),
            started: started.and_then(|time| humantime::parse_rfc3339(time).ok()),
            image: response.image.unwrap_or_default(),
            endpoints: networks
                .into_iter()
                .flatten()
                .map(Endpoint::from_settings)
                .collect(),
            published,
        })
    }

    /// Returns the address at which the host reaches a port of this container: as published, or
    /// else on the network with this [`NetworkInfo::handle`].
    ///
    /// [`NetworkInfo::handle`]: super::network_types::NetworkInfo::handle
    pub(super) fn seen_from_host(&self, port: u16, handle: &str) -> Option<SocketAddr> {
        let published = self.published.iter().find(|(inside, _)| *inside == port);
        let direct = || self.addr_on(handle).map(|ip| SocketAddr::from((ip, port)));
        published.map(|(_, host)| *host).or_else(direct)
    }

    /// Returns its address on the network with this [`NetworkInfo::handle`].
    ///
    /// [`NetworkInfo::handle`]: super::network_types::NetworkInfo::handle
    pub(super) fn addr_on(&self, handle: &str) -> Option<IpAddr> {
        let mut endpoints = self.endpoints.iter();
        endpoints.find(|endpoint| endpoint.handle() == handle)?.addr
    }
}

/// Reads the published TCP ports: `{"5000/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}`.
fn published_ports(ports: HashMap<String, Option<Vec<PortBinding>>>) -> Vec<(u16, SocketAddr)> {
    let mut published = Vec::new();
    for (port, bindings) in ports {
        let Some(port) = port.strip_suffix("/tcp").and_then(|port| port.parse().ok()) else {
            continue;
        };
        for binding in bindings.into_iter().flatten() {
            let ip = binding.host_ip.and_then(|ip| ip.parse::<IpAddr>().ok());
            let host_port = binding.host_port.and_then(|port| port.parse::<u16>().ok());
            published.extend(ip.zip(host_port).map(|host| (port, SocketAddr::from(host))));
        }
    }
    // IPv4 before IPv6, which not every client tries.
    published.sort();
    published
}

fn run_state(state: &ContainerState) -> RunState {
    use ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING) => {
            RunState::Runs
        }
        Some(Status::CREATED) => RunState::Ended("container was never started".to_owned()),
        None | Some(Status::EMPTY) if state.running == Some(true) => RunState::Runs,
        _ => RunState::Ended(exit_reason(state)),
    }
}

/// Returns the exit status of a container, in a phrase.
fn exit_reason(state: &ContainerState) -> String {
    let mut reason = exit_phrase(state.exit_code);
    if state.oom_killed == Some(true) {
        reason.push_str(", out of memory (--replica-memory)");
    }
    if let Some(error) = state.error.as_deref().filter(|error| !error.is_empty()) {
        let error: String = error.chars().take(MAX_ERROR_CHARS).collect();
        reason = format!("{reason}: {error}");
    }
    reason
}

/// Returns an exit code in a phrase.
pub(super) fn exit_phrase(code: Option<i64>) -> String {
    match code {
        None => "container ended".to_owned(),
        Some(code) if code > SIGNAL_EXIT_BASE => {
            let signal = code - SIGNAL_EXIT_BASE;
            format!("container ended with {code} (signal {signal})")
        }
        Some(code) => format!("container ended with {code}"),
    }
}

/// Returns a container's name without the slash that the API puts before it.
fn without_slash(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

/// An event of a container.
#[derive(Clone, Debug)]
pub(super) struct ContainerEvent {
    /// Its ID.
    pub(super) id: Option<ContainerId>,
    /// Its exit code, if it ended.
    pub(super) exit_code: Option<i64>,
    /// `true` if the container may have ended.
    pub(super) is_end: bool,
}

impl From<EventMessage> for ContainerEvent {
    fn from(message: EventMessage) -> Self {
        let actor = message.actor.unwrap_or_default();
        let attributes = actor.attributes.unwrap_or_default();
        let action = message.action.unwrap_or_default();
        Self {
            id: actor.id.as_deref().and_then(ContainerId::new),
            exit_code: attributes
                .get("exitCode")
                .and_then(|code| code.parse().ok()),
            is_end: matches!(action.as_str(), "die" | "destroy"),
        }
    }
}
