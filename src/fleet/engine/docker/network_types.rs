//! Networks as the container engine reports them, and the endpoints of containers on them.
//!
//! A container that has ended still has an endpoint with an empty address. Its former address may
//! belong to another container by then.

use std::net::IpAddr;

use bollard::models::{EndpointSettings, NetworkInspect};

/// Networks that every engine creates for itself; aliases do not work on them.
const BUILT_IN_NETWORKS: [&str; 3] = ["bridge", "host", "none"];

/// The endpoint of a container on a network.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// ID of the network; empty while the container has never run.
    pub(super) network: String,
    pub(super) network_name: String,
    pub(super) addr: Option<IpAddr>,
    pub(super) gateway: Option<IpAddr>,
}

impl Endpoint {
    /// Reads an endpoint with the name of its network.
    pub(super) fn from_settings((network_name, settings): (String, EndpointSettings)) -> Self {
        let addr = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let v6 = addr(settings.global_ipv6_address);
        Self {
            network: settings.network_id.unwrap_or_default(),
            network_name,
            addr: addr(settings.ip_address).or(v6),
            gateway: addr(settings.gateway),
        }
    }

    /// Returns `true` if the network is none of the engine's own.
    pub(super) fn is_user_defined(&self) -> bool {
        !BUILT_IN_NETWORKS.contains(&self.network_name.as_str())
    }

    /// Returns the [`NetworkInfo::handle`] of the network.
    pub(super) fn handle(&self) -> &str {
        match self.is_user_defined() {
            true => &self.network,
            false => &self.network_name,
        }
    }
}

/// The result of inspecting a network.
#[derive(Clone, Debug)]
pub(super) struct NetworkInfo {
    pub(super) id: String,
    pub(super) name: String,
    /// `true` if the network is a bridge of this host, so that its gateway is the host.
    pub(super) is_bridge: bool,
}

impl NetworkInfo {
    /// Reads an inspection; `None` without an ID or a name.
    pub(super) fn from_network(network: NetworkInspect) -> Option<Self> {
        Some(Self {
            id: network.id?,
            name: network.name?,
            is_bridge: network.driver.as_deref() == Some("bridge"),
        })
    }

    /// Returns `true` if the network is none of the engine's own.
    pub(super) fn is_user_defined(&self) -> bool {
        !BUILT_IN_NETWORKS.contains(&self.name.as_str())
    }

    /// Returns the identifier of the network: its ID, because several networks may share a name.
    ///
    /// A built-in network is identified by its name. The engine creates it again at each start,
    /// with another ID, and allows no other network of that name.
    pub(super) fn handle(&self) -> String {
        match self.is_user_defined() {
            true => self.id.clone(),
            false => self.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::engine::docker::api_types::{ContainerInfo, ContainerLabels, RunState};
    use crate::fleet::engine::docker::container_id::ContainerId;

    fn endpoint(id: &str, name: &str, addr: &str) -> Endpoint {
        let settings = EndpointSettings {
            network_id: Some(id.to_owned()),
            ip_address: Some(addr.to_owned()),
            ..EndpointSettings::default()
        };
        Endpoint::from_settings((name.to_owned(), settings))
    }

    #[test]
    fn built_in_networks_are_identified_by_name_and_others_by_id() {
        let network = |id: &str, name: &str| NetworkInfo {
            id: id.to_owned(),
            name: name.to_owned(),
            is_bridge: true,
        };
        let container_on = |endpoint| ContainerInfo {
            id: ContainerId::new(&"0".repeat(64)).unwrap(),
            name: "S1".to_owned(),
            labels: ContainerLabels::default(),
            run_state: RunState::Runs,
            started: None,
            image: String::new(),
            endpoints: vec![endpoint],
            published: Vec::new(),
        };
        let addr = Some(IpAddr::from([10, 0, 0, 7]));
        // The engine has another ID for it after a restart.
        let own = network("n1", "bridge").handle();
        assert_eq!(
            container_on(endpoint("n2", "bridge", "10.0.0.7")).addr_on(&own),
            addr
        );
        let other = network("n1", "blue").handle();
        assert_eq!(
            container_on(endpoint("n1", "blue", "10.0.0.7")).addr_on(&other),
            addr
        );
        assert_eq!(
            container_on(endpoint("n2", "blue", "10.0.0.7")).addr_on(&other),
            None
        );
    }
}
