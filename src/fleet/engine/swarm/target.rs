//! The choice of the service that is followed, and of the network on which its tasks are reached.
//!
//! Pure. Every refusal is a sentence that names the flag or the command which mends it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::own_container::OwnContainer;
use super::settings::SwarmSettings;
use super::snapshot::Place;

/// Delay before a dead task is replaced, if the service names none.
const DEFAULT_RESTART_DELAY: Duration = Duration::from_secs(5);
/// Delay above which the log warns.
const LONG_RESTART_DELAY: Duration = Duration::from_secs(1);

/// The service that is followed.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// ID of the service.
    pub(super) service: String,
    /// Name of the service.
    pub(super) name: Arc<str>,
    /// Network and port of its tasks.
    pub(super) place: Place,
    /// Sentences about settings of the service that delay the replacement of a dead replica.
    pub(super) warnings: Vec<String>,
}

/// Answers of the engine among which the service is chosen.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    /// `GET /info`
    pub(super) info: Value,
    /// `GET /services`
    pub(super) services: Value,
    /// `GET /networks`
    pub(super) networks: Value,
    pub(super) own: Option<OwnContainer>,
}

/// Checks that a node can see the tasks of a service, by the answer to `GET /info`.
///
/// # Errors
/// A sentence.
pub(super) fn check_node(info: &Value) -> Result<(), &'static str> {
    let swarm = &info["Swarm"];
    match (swarm["LocalNodeState"].as_str(), &swarm["ControlAvailable"]) {
        (None | Some("inactive" | ""), _) => Err("this engine is in no swarm (docker swarm init)"),
        (Some("active"), Value::Bool(false)) => Err(
            "this node is a worker and cannot see tasks: run balancers on managers (node.role == manager), or set DOCKER_HOST to a manager",
        ),
        // A manager without a quorum may be in any other state, and will answer again.
        _ => Ok(()),
    }
}

impl Survey {
    /// Chooses the service and its network.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn choose(&self, settings: &SwarmSettings) -> Result<Target, String> {
        let network = self.network(settings)?;
        let service = self.service(settings, network)?;
        let name = name_of(service);
        if !is_replicated(service) {
            return Err(format!(
                "service {name} is not replicated: only slots of a replicated service can be seats"
            ));
        }
        let network = match network {
            Some(network) => network,
            None => self.only_network_of(service)?,
        };
        let id = network["Id"].as_str().unwrap_or_default();
        if !is_on(service, id) {
            return Err(format!(
                "service {name} is not on network {} (--network)",
                network_name(network)
            ));
        }
        Ok(Target {
            service: service["ID"].as_str().unwrap_or_default().to_owned(),
            name: name.into(),
            place: Place {
                node: self.info["Swarm"]["NodeID"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                network: id.to_owned(),
                port: settings.port,
            },
            warnings: warnings(service),
        })
    }

    /// Returns the network of the settings, or the only overlay of our own container; `None` if
    /// neither is there.
    fn network(&self, settings: &SwarmSettings) -> Result<Option<&Value>, String> {
        if let Some(configured) = &settings.network {
            let in_stack = self.in_stack(configured);
            let mut networks = elements(&self.networks);
            let found = networks.find(|one| {
                let name = network_name(one);
                one["Id"] == **configured || name == configured || Some(name) == in_stack.as_deref()
            });
            let missing = || format!("the engine has no network {configured} (--network)");
            return found.map(Some).ok_or_else(missing);
        }
        let Some(own) = &self.own else {
            return Ok(None);
        };
        let is_ours = |one: &&Value| {
            let id = one["Id"].as_str().unwrap_or_default();
            is_overlay(one) && own.networks.iter().any(|ours| ours == id)
        };
        let ours: Vec<&Value> = elements(&self.networks).filter(is_ours).collect();
        match ours[..] {
            [only] => Ok(Some(only)),
            _ => Err(format!(
                "no network of the replicas: choose one with --network; our own container is on: {}",
                list(ours.into_iter().map(network_name))
            )),
        }
    }

    /// Returns the service of the settings, or the only other replicated one on `network`.
    fn service(&self, settings: &SwarmSettings, network: Option<&Value>) -> Result<&Value, String> {
        let own = self.own.as_ref().and_then(|own| own.service.as_deref());
        let on_network = |one: &&Value| {
            let id = network.and_then(|network| network["Id"].as_str());
            let is_own = one["ID"].as_str() == own;
            is_replicated(one) && !is_own && id.is_none_or(|id| is_on(one, id))
        };
        let candidates: Vec<&Value> = elements(&self.services).filter(on_network).collect();
        let known = || list(candidates.iter().map(|one| name_of(one)));
        let Some(configured) = &settings.service else {
            return match candidates[..] {
                [only] => Ok(only),
                _ => Err(format!(
                    "choose a service with --service; replicated services on our network: {}",
                    known()
                )),
            };
        };
        let in_stack = self.in_stack(configured);
        let names = in_stack.iter().map(String::as_str);
        let mut names = names.chain([configured.as_str()]);
        let found =
            names.find_map(|name| elements(&self.services).find(|one| name_of(one) == name));
        found.ok_or_else(|| {
            format!(
                "there is no service {configured} (--service); replicated services on our network: {}",
                known()
            )
        })
    }

    /// Returns the name that something has in our own stack.
    fn in_stack(&self, name: &str) -> Option<String> {
        let stack = self.own.as_ref()?.stack.as_ref()?;
        Some(format!("{stack}_{name}"))
    }

    /// Returns the only overlay network of a service.
    fn only_network_of(&self, service: &Value) -> Result<&Value, String> {
        let is_its = |one: &&Value| {
            let id = one["Id"].as_str().unwrap_or_default();
            is_overlay(one) && is_on(service, id)
        };
        let its: Vec<&Value> = elements(&self.networks).filter(is_its).collect();
        match its[..] {
            [only] => Ok(only),
            _ => Err(format!(
                "no network of the replicas: choose one with --network; service {} is on: {}",
                name_of(service),
                list(its.into_iter().map(network_name))
            )),
        }
    }
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn name_of(service: &Value) -> &str {
    service["Spec"]["Name"].as_str().unwrap_or_default()
}

fn network_name(network: &Value) -> &str {
    network["Name"].as_str().unwrap_or_default()
}

/// Returns `true` for an overlay network other than the one of published ports.
fn is_overlay(network: &Value) -> bool {
    network["Driver"] == "overlay" && network["Ingress"] != true
}

fn is_replicated(service: &Value) -> bool {
    service["Spec"]["Mode"]["Replicated"].is_object()
}

/// Returns `true` if the tasks of a service are on the network of this ID.
fn is_on(service: &Value, network: &str) -> bool {
    let spec = &service["Spec"];
    // Engines before 17.06 have the second one.
    let networks = [&spec["TaskTemplate"]["Networks"], &spec["Networks"]];
    let mut networks = networks.into_iter().flat_map(elements);
    networks.any(|one| one["Target"] == *network)
}

/// Returns names for a sentence.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// Returns sentences about a restart policy that does not replace a dead replica at once.
fn warnings(service: &Value) -> Vec<String> {
    let policy = &service["Spec"]["TaskTemplate"]["RestartPolicy"];
    let name = name_of(service);
    let condition = policy["Condition"].as_str().filter(|it| *it != "any");
    let condition = condition.map(|condition| {
        format!("service {name}: not every dead replica is replaced: restart_policy.condition is {condition}")
    });
    let delay = policy["Delay"]
        .as_u64()
        .map_or(DEFAULT_RESTART_DELAY, Duration::from_nanos);
    let delay = (delay > LONG_RESTART_DELAY).then(|| {
        let delay = humantime::format_duration(delay);
        format!("service {name}: a dead replica waits {delay}: restart_policy.delay")
    });
    condition.into_iter().chain(delay).collect()
}
