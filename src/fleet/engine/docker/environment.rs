//! The environment of the engine of containers, surveyed once before anything is started: our own
//! container, the replicas' network and template, and the containers of the fleet that exist.
//!
//! It starts and removes nothing except the fleet's lock.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use anyhow::bail;

use super::api::{Api, ApiError};
use super::api_types::{ContainerInfo, ListedContainer, RunState};
use super::found_container::{FoundContainer, FoundState, to_instant};
use super::found_versions::{FoundVersions, version_of_new};
use super::image::find_image;
use super::lock::Lock;
use super::network_types::Endpoint;
use super::own_container::own_container;
use super::settings::{ContainerSettings, Image, PullPolicy};
use super::spec::ContainerTemplate;
use super::wanted_seats::WantedSeats;
use crate::fleet::engine::exit_report::ExitReport;
use crate::fleet::version::Version;
use crate::ring::Seat;
use crate::roster::ReplicaAddr;

/// Network of the replicas if this program runs outside a container: the engine's own bridge, whose
/// addresses the host reaches.
const DEFAULT_NETWORK: &str = "bridge";
/// The surveyed environment, with the fleet's lock.
#[derive(Debug)]
pub(in crate::fleet) struct Environment {
    pub(super) api: Api,
    pub(super) template: ContainerTemplate,
    pub(super) lock: Lock,
    pub(super) keep: bool,
    /// The host's address on our network, if it is to be trusted.
    pub(in crate::fleet) gateway: Option<IpAddr>,
    /// Our own container, if this program runs in one.
    own: Option<ContainerInfo>,
    /// The replicas' containers that exist already.
    pub(in crate::fleet) found: Vec<FoundContainer>,
}

impl Environment {
    /// Surveys the environment and takes the fleet's lock, from the process `handed_over_by` if it
    /// holds it.
    ///
    /// # Errors
    /// A sentence about what is missing, or about the owner of the lock.
    pub(in crate::fleet) async fn survey(
        settings: &ContainerSettings,
        handed_over_by: Option<u32>,
    ) -> anyhow::Result<Self> {
        let api = Api::connect(&settings.fleet).await?;
        let own = own_container(&api).await?;
        let network =
            ChosenNetwork::choose(&api, settings.network.as_deref(), own.as_ref()).await?;
        if settings.trust_gateway && network.gateway.is_none() {
            bail!("--trust-gateway: we are in no container on a bridge, so no gateway is the host");
        }
        let template = container_template(&api, settings, own.as_ref(), &network).await?;
        let lock = Lock::acquire(
            &api,
            &template,
            own.as_ref().map(|own| &own.id),
            handed_over_by,
            WantedSeats::first(settings.count),
        )
        .await?;
        let mut environment = Self {
            api,
            template,
            lock,
            keep: settings.keep,
            gateway: network.gateway.filter(|_| settings.trust_gateway),
            own,
            found: Vec::new(),
        };
        match environment.find_containers().await {
            Ok(found) => environment.found = found,
            Err(err) => {
                // The next start needs the seats in the lock of a balancer that has crashed.
                if environment.lock.inherited.is_none() {
                    environment.release().await;
                }
                // An empty list would mean to start all replicas again.
                bail!("cannot tell which replicas are there: {err}");
            }
        }
        Ok(environment)
    }

    /// Releases the lock, when nothing is to be started after all.
    pub(in crate::fleet) async fn release(&self) {
        self.lock.release(&self.api).await;
    }

    /// Returns the wanted seats of the balancer that has ended without a stop.
    pub(in crate::fleet) fn inherited_seats(&self) -> Option<&BTreeSet<Seat>> {
        self.lock.inherited.as_ref().map(|seats| &seats.0)
    }

    /// Returns the address at which this machine reaches our listener at `listening`.
    pub(in crate::fleet) fn seen_from_host(&self, listening: SocketAddr) -> SocketAddr {
        match &self.own {
            Some(own) if listening.ip().is_unspecified() && !shares_host(own) => {
                own.seen_from_host(listening.port(), &self.template.network)
            }
            _ => None,
        }
        .unwrap_or(listening)
    }

    /// Returns `true` if no container has the name that a replica of this name needs. If the
    /// inspection fails, the name counts as taken.
    pub(in crate::fleet) async fn is_free(&self, replica: &str) -> bool {
        let name = self.template.container_name(replica);
        match self.api.inspect(&name).await {
            // The engine also accepts the beginning of an ID.
            Ok(info) => info.name != name,
            Err(err) => matches!(err, ApiError::Missing(_)),
        }
    }

    async fn find_containers(&self) -> Result<Vec<FoundContainer>, ApiError> {
        let mut found = Vec::new();
        let mut versions = FoundVersions::new(&self.api, &self.template.image);
        for listed in self.api.list().await? {
            if listed.labels.owner.is_none() {
                found.extend(self.inspect(listed, &mut versions).await?);
            }
        }
        Ok(found)
    }

    /// Returns the version of new replicas: that of the settings, or the one that all replicas got
    /// by order in its place.
    pub(in crate::fleet) fn version(&self) -> Version {
        version_of_new(&self.found, &self.template.image)
    }

    /// Inspects a container of the fleet; `None` if it is no replica's, or was removed meanwhile.
    async fn inspect(
        &self,
        listed: ListedContainer,
        versions: &mut FoundVersions<'_>,
    ) -> Result<Option<FoundContainer>, ApiError> {
        let info = match self.api.inspect(listed.id.as_str()).await {
            Ok(info) => info,
            Err(ApiError::Missing(_)) => return Ok(None),
            Err(err) => return Err(err),
        };
        let (Some(label), Some(name)) = (info.labels.seat, info.labels.name.clone()) else {
            tracing::warn!(
                "container {} has our fleet label and no seat; it is left alone",
                info.name
            );
            return Ok(None);
        };
        let addr = info.addr_on(&self.template.network);
        let state = match (&info.run_state, addr) {
            (RunState::Ended(reason), _) => {
                let output = self.api.last_output(&info.id).await;
                FoundState::Ended(ExitReport::with_output(reason.clone(), &output).to_string())
            }
            (RunState::Runs, None) => {
                FoundState::Ended("its container is not on our network".to_owned())
            }
            (RunState::Runs, Some(ip)) => {
                FoundState::Runs(ReplicaAddr((ip, self.template.port).into()))
            }
        };
        let created_for = label.seat();
        let seat = match created_for {
            Some(seat) => Some(seat),
            None => self.api.seat_from_log(&info.id).await,
        };
        Ok(Some(FoundContainer {
            version: versions.of(&info).await,
            instead_of: info.labels.instead_of,
            container: info.id,
            seat,
            seat_is_from_log: created_for.is_none(),
            name,
            state,
            started: info.started.and_then(to_instant),
            created: listed.created,
        }))
    }
}

/// Returns the template of the replicas' containers.
async fn container_template(
    api: &Api,
    settings: &ContainerSettings,
    own: Option<&ContainerInfo>,
    network: &ChosenNetwork,
) -> anyhow::Result<ContainerTemplate> {
    let (image_name, is_own) = match (&settings.image, own) {
        (Image::Named(name), _) => (name.as_str(), false),
        (Image::Own, Some(own)) => (own.image.as_str(), true),
        (Image::Own, None) => bail!(
            "outside a container replicas need an image: --image NAME, or --engine process for child \
             processes"
        ),
    };
    let pull = if is_own {
        PullPolicy::Never
    } else {
        settings.pull
    };
    let image = find_image(api, image_name, pull).await?;
    let mut image = image.into_version(image_name);
    image.is_ours |= is_own;
    let network = (network.handle.clone(), network.aliases);
    Ok(ContainerTemplate::new(settings, image, network))
}

/// The network of the replicas.
#[derive(Debug)]
struct ChosenNetwork {
    /// The identifier of [`super::network_types::NetworkInfo::handle`].
    handle: String,
    aliases: bool,
    gateway: Option<IpAddr>,
}

impl ChosenNetwork {
    /// Chooses the network of the settings, or else the only user-defined network of our own
    /// container. Outside a container it is the engine's own bridge.
    async fn choose(
        api: &Api,
        configured: Option<&str>,
        own: Option<&ContainerInfo>,
    ) -> anyhow::Result<Self> {
        let which = match (configured, own) {
            (Some(configured), _) => configured,
            (None, None) => DEFAULT_NETWORK,
            (None, Some(own)) => only_network(&own.endpoints)?,
        };
        let network = match api.network(which).await {
            Ok(network) => network,
            Err(ApiError::Missing(_)) => bail!("the engine has no network {which} (--network)"),
            Err(err) => bail!("cannot inspect network {which} (--network): {err}"),
        };
        if ["host", "none"].contains(&network.name.as_str()) {
            bail!("containers have no address of their own on network {which} (--network)");
        }
        let endpoint = own.map(|own| own.endpoints.iter().find(|e| e.network == network.id));
        let endpoint = match endpoint {
            // Outside a container: the host reaches every bridge.
            None => None,
            Some(Some(endpoint)) => Some(endpoint),
            // A container that shares the host's network reaches every bridge, too.
            Some(None) if own.is_some_and(shares_host) => None,
            Some(None) => bail!("we are not on network {} (--network)", network.name),
        };
        let gateway = endpoint.and_then(|endpoint| endpoint.gateway);
        Ok(Self {
            aliases: network.is_user_defined(),
            gateway: gateway.filter(|_| network.is_bridge),
            handle: network.handle(),
        })
    }
}

/// Returns `true` if our own container shares the host's network.
fn shares_host(own: &ContainerInfo) -> bool {
    own.endpoints.iter().any(|e| e.network_name == "host")
}

/// Returns the ID of the only user-defined network of our own container.
fn only_network(endpoints: &[Endpoint]) -> anyhow::Result<&str> {
    let user_defined: Vec<&Endpoint> = endpoints.iter().filter(|e| e.is_user_defined()).collect();
    match user_defined[..] {
        [only] => Ok(&only.network),
        _ => {
            let names = endpoints.iter().map(|e| e.network_name.as_str());
            let names: Vec<&str> = names.collect();
            bail!(
                "no network for the replicas: choose one with --network; our own container is on: {}",
                names.join(", ")
            )
        }
    }
}
