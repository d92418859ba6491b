//! What the engine shows, cut down to what we act on: containers in a list, one container looked at,
//! networks, images and events.
//!
//! Everything in an answer is optional to the client library; what we cannot do without is checked here,
//! once. Surprising: a container that has ended still has an endpoint on its network, with an empty
//! address, and its former address may be another container's by then.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary,
    ContainerSummaryStateEnum, EndpointSettings, EventMessage, ImageInspect, NetworkInspect,
};

use super::api::Id;
use super::spec::{FLEET_LABEL, NAME_LABEL, OWNER_LABEL, SEAT_LABEL, STANDBY};
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Networks that every engine has and nobody has made; aliases do not work on them.
const BUILT_IN: [&str; 3] = ["bridge", "host", "none"];
/// A status above this is 128 and the number of the signal that ended the process.
const BY_SIGNAL: i64 = 128;

/// The labels of a container, as far as they are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContainerLabels {
    /// Whose it is.
    pub(super) fleet: Option<String>,
    /// What it was made for; `None` if that is not said.
    pub(super) post: Option<SeatLabel>,
    /// Its replica's name.
    pub(super) name: Option<ReplicaName>,
    /// Who holds the lock, if it is one.
    pub(super) owner: Option<String>,
}

/// What a replica's container was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeatLabel {
    /// This seat.
    Seat(Seat),
    /// To wait for one.
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

    /// The seat, if it is one.
    pub(super) fn seat(self) -> Option<Seat> {
        match self {
            Self::Seat(seat) => Some(seat),
            Self::Standby => None,
        }
    }
}

impl ContainerLabels {
    /// Whether it is a replica's, and not the lock's or somebody's who has our label by mistake.
    pub(super) fn is_replica(&self) -> bool {
        self.owner.is_none() && self.post.is_some()
    }

    fn from_labels(labels: Option<HashMap<String, String>>) -> Self {
        let mut labels = labels.unwrap_or_default();
        Self {
            post: labels
                .remove(SEAT_LABEL)
                .and_then(|text| SeatLabel::from_label(&text)),
            name: labels.remove(NAME_LABEL).and_then(|name| name.parse().ok()),
            fleet: labels.remove(FLEET_LABEL),
            owner: labels.remove(OWNER_LABEL),
        }
    }
}

/// A container in a list.
#[derive(Clone, Debug)]
pub(super) struct ListedContainer {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) labels: ContainerLabels,
    /// Whether it runs, as far as a list can tell.
    pub(super) runs: bool,
    /// When it was made, in seconds since 1970.
    pub(super) made: i64,
}

impl ListedContainer {
    pub(super) fn from_summary(summary: ContainerSummary) -> Option<Self> {
        use ContainerSummaryStateEnum as State;
        let names = summary.names.unwrap_or_default();
        Some(Self {
            id: Id::new(&summary.id?)?,
            name: bare(names.first()?),
            labels: ContainerLabels::from_labels(summary.labels),
            runs: matches!(
                summary.state,
                Some(State::RUNNING | State::PAUSED | State::RESTARTING)
            ),
            made: summary.created.unwrap_or_default(),
        })
    }
}

/// Whether a container runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RunState {
    /// It does, be it paused.
    Runs,
    /// It does no more, or never did; how it ended, in a phrase.
    Ended(String),
}

/// A container that was looked at.
#[derive(Clone, Debug)]
pub(super) struct ContainerInfo {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) labels: ContainerLabels,
    pub(super) run: RunState,
    /// The ID of what it was made from.
    pub(super) image: String,
    pub(super) endpoints: Vec<Endpoint>,
}

/// Where a container is on a network.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// The network's ID; empty while the container has never run.
    pub(super) network: String,
    pub(super) network_name: String,
    pub(super) addr: Option<IpAddr>,
    pub(super) gateway: Option<IpAddr>,
}

impl Endpoint {
    fn from_settings((network_name, settings): (String, EndpointSettings)) -> Self {
        let addr = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let v6 = addr(settings.global_ipv6_address);
        Self {
            network: settings.network_id.unwrap_or_default(),
            network_name,
            addr: addr(settings.ip_address).or(v6),
            gateway: addr(settings.gateway),
        }
    }

    pub(super) fn is_user_defined(&self) -> bool {
        !BUILT_IN.contains(&self.network_name.as_str())
    }

    /// The [`NetworkSeen::handle`] of the network.
    fn handle(&self) -> &str {
        match self.is_user_defined() {
            true => &self.network,
            false => &self.network_name,
        }
    }
}

impl ContainerInfo {
    pub(super) fn from_inspect(seen: ContainerInspectResponse) -> Option<Self> {
        let networks = seen.network_settings.and_then(|net| net.networks);
        Some(Self {
            id: Id::new(&seen.id?)?,
            name: bare(&seen.name?),
            labels: ContainerLabels::from_labels(seen.config.and_then(|config| config.labels)),
            run: run(&seen.state?),
            image: seen.image.unwrap_or_default(),
            endpoints: networks
                .into_iter()
                .flatten()
                .map(Endpoint::from_settings)
                .collect(),
        })
    }

    /// Its address on the network of this [`NetworkSeen::handle`].
    pub(super) fn addr_on(&self, handle: &str) -> Option<IpAddr> {
        let mut endpoints = self.endpoints.iter();
        endpoints.find(|endpoint| endpoint.handle() == handle)?.addr
    }
}

fn run(state: &ContainerState) -> RunState {
    use ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING) => {
            RunState::Runs
        }
        Some(Status::CREATED) => RunState::Ended("container was never started".to_owned()),
        None | Some(Status::EMPTY) if state.running == Some(true) => RunState::Runs,
        _ => RunState::Ended(ending(state)),
    }
}

/// How a container ended, in a phrase.
fn ending(state: &ContainerState) -> String {
    let mut how = code(state.exit_code);
    if state.oom_killed == Some(true) {
        how.push_str(" for want of memory (--replica-memory)");
    }
    if let Some(error) = state.error.as_deref().filter(|error| !error.is_empty()) {
        how = format!("{how}: {}", error.chars().take(200).collect::<String>());
    }
    how
}

/// An exit code in a phrase.
pub(super) fn code(code: Option<i64>) -> String {
    match code {
        None => "container ended".to_owned(),
        Some(code @ BY_SIGNAL..) if code > BY_SIGNAL => {
            format!("container ended with {code} (signal {})", code - BY_SIGNAL)
        }
        Some(code) => format!("container ended with {code}"),
    }
}

/// A container's name without the slash that the API puts before it.
fn bare(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

/// A network that was looked at.
#[derive(Clone, Debug)]
pub(super) struct NetworkInfo {
    pub(super) id: String,
    pub(super) name: String,
    /// Whether it is a bridge of this host: its gateway is the host.
    pub(super) is_bridge: bool,
}

impl NetworkInfo {
    pub(super) fn from_network(network: NetworkInspect) -> Option<Self> {
        Some(Self {
            id: network.id?,
            name: network.name?,
            is_bridge: network.driver.as_deref() == Some("bridge"),
        })
    }

    pub(super) fn is_user_defined(&self) -> bool {
        !BUILT_IN.contains(&self.name.as_str())
    }

    /// What tells it from all others for as long as it is there: its ID, since several may have one name. But
    /// those that every engine has it makes anew whenever it starts, each with another ID, and nobody else
    /// may use their names.
    pub(super) fn handle(&self) -> String {
        match self.is_user_defined() {
            true => self.id.clone(),
            false => self.name.clone(),
        }
    }
}

/// An image that was looked at.
#[derive(Clone, Debug)]
pub(super) struct ImageInfo {
    pub(super) id: String,
    pub(super) labels: HashMap<String, String>,
}

impl ImageInfo {
    pub(super) fn from_image(image: ImageInspect) -> Option<Self> {
        Some(Self {
            id: image.id?,
            labels: image.config.and_then(|c| c.labels).unwrap_or_default(),
        })
    }
}

/// Something happened to a container.
#[derive(Clone, Debug)]
pub(super) struct ContainerEvent {
    /// To which one.
    pub(super) id: Option<Id>,
    /// Its exit code, if it ended.
    pub(super) code: Option<i64>,
    /// Whether it may have ended.
    pub(super) is_end: bool,
}

impl From<EventMessage> for ContainerEvent {
    fn from(message: EventMessage) -> Self {
        let actor = message.actor.unwrap_or_default();
        let attributes = actor.attributes.unwrap_or_default();
        let action = message.action.unwrap_or_default();
        Self {
            id: actor.id.as_deref().and_then(Id::new),
            code: attributes
                .get("exitCode")
                .and_then(|code| code.parse().ok()),
            is_end: matches!(action.as_str(), "die" | "destroy"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(id: &str, name: &str, addr: &str) -> Endpoint {
        let settings = EndpointSettings {
            network_id: Some(id.to_owned()),
            ip_address: Some(addr.to_owned()),
            ..EndpointSettings::default()
        };
        Endpoint::from_settings((name.to_owned(), settings))
    }

    #[test]
    fn the_engines_own_network_is_known_by_name_and_any_other_by_id() {
        let network = |id: &str, name: &str| NetworkInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            is_bridge: true,
        };
        let seen = |endpoint| ContainerInfo {
            id: Id::new(&"0".repeat(64)).unwrap(),
            name: "S1".to_owned(),
            labels: ContainerLabels::from_labels(None),
            run: RunState::Runs,
            image: String::new(),
            endpoints: vec![endpoint],
        };
        let addr = Some(IpAddr::from([10, 0, 0, 7]));
        // Another ID since the engine was started again.
        let own = network("n1", "bridge").handle();
        assert_eq!(
            seen(endpoint("n2", "bridge", "10.0.0.7")).addr_on(&own),
            addr
        );
        let other = network("n1", "blue").handle();
        assert_eq!(
            seen(endpoint("n1", "blue", "10.0.0.7")).addr_on(&other),
            addr
        );
        assert_eq!(
            seen(endpoint("n2", "blue", "10.0.0.7")).addr_on(&other),
            None
        );
    }
}
