//! Where we stand, asked once before anything is started: are we in a container, on which network are
//! replicas to be, what are they made of, and which containers of the fleet are there already.
//!
//! It starts and removes nothing but the fleet's lock. Surprising: /proc/self/mountinfo of the *host*
//! names containers too (their mounts lie below the engine's folder), so only what is mounted over our
//! own /etc/hostname, /etc/hosts and /etc/resolv.conf tells where we are.

use std::net::IpAddr;

use anyhow::{Context as _, bail};

use super::api::{Api, ApiError, Id};
use super::api_types::{ContainerInfo, Endpoint, ListedContainer, RunState};
use super::lock::Lock;
use super::spec::{BUNDLED, ContainerTemplate, OUR_TITLE, TITLE_LABEL};
use super::{ContainerSettings, Found, Image, State};
use crate::fleet::engine::ExitReport;
use crate::roster::ReplicaAddr;

/// Where a balancer outside any container puts its replicas: the engine's own bridge, whose addresses
/// the host reaches.
const DEFAULT_NETWORK: &str = "bridge";
/// Files that an engine mounts over a container's own.
const HOST_FILES: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// What was found out, and the lock.
#[derive(Debug)]
pub(in crate::fleet) struct Environment {
    pub(super) api: Api,
    pub(super) recipe: ContainerTemplate,
    pub(super) lock: Lock,
    pub(super) keep: bool,
    /// The host as our network sees it, if it is to be trusted.
    pub(in crate::fleet) gateway: Option<IpAddr>,
    /// The replicas that are there already.
    pub(in crate::fleet) found: Vec<Found>,
}

impl Environment {
    /// Finds everything out and takes the fleet's lock, be it from this process.
    ///
    /// # Errors
    /// A sentence about what is missing, or about who holds the lock.
    pub(in crate::fleet) async fn survey(
        wanted: &ContainerSettings,
        from: Option<u32>,
    ) -> anyhow::Result<Self> {
        let api = Api::connect(&wanted.fleet).await?;
        let own = own_container(&api).await?;
        let network = ChosenNetwork::choose(&api, wanted.network.as_deref(), own.as_ref()).await?;
        if wanted.trust_gateway && network.gateway.is_none() {
            bail!("--trust-gateway: we are in no container on a bridge, so no gateway is the host");
        }
        let recipe = container_template(&api, wanted, own.as_ref(), &network).await?;
        let lock = Lock::acquire(&api, &recipe, own.as_ref().map(|own| &own.id), from).await?;
        let mut ground = Self {
            api,
            recipe,
            lock,
            keep: wanted.keep,
            gateway: network.gateway.filter(|_| wanted.trust_gateway),
            found: Vec::new(),
        };
        match ground.find_containers().await {
            Ok(found) => ground.found = found,
            Err(fault) => {
                ground.release().await;
                // Nothing in the list would mean to start all of them anew.
                bail!("cannot tell which replicas are there: {fault}");
            }
        }
        Ok(ground)
    }

    /// Gives the lock back, when nothing is to be started after all.
    pub(in crate::fleet) async fn release(&self) {
        self.lock.release(&self.api).await;
    }

    /// Whether no container has the name that a replica of this name needs. What cannot be told counts as
    /// taken.
    pub(in crate::fleet) async fn is_free(&self, replica: &str) -> bool {
        let name = self.recipe.container_name(replica);
        match self.api.inspect(&name).await {
            // The engine also takes the beginning of an ID.
            Ok(seen) => seen.name != name,
            Err(fault) => matches!(fault, ApiError::Missing(_)),
        }
    }

    async fn find_containers(&self) -> Result<Vec<Found>, ApiError> {
        let mut found = Vec::new();
        for listed in self.api.list().await? {
            if listed.labels.owner.is_none() {
                found.extend(self.inspect(listed).await?);
            }
        }
        Ok(found)
    }

    /// Looks at one of our containers; `None` if it is none of a replica, or is gone by now.
    async fn inspect(&self, listed: ListedContainer) -> Result<Option<Found>, ApiError> {
        let seen = match self.api.inspect(listed.id.as_str()).await {
            Ok(seen) => seen,
            Err(ApiError::Missing(_)) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let (Some(post), Some(name)) = (seen.labels.post, seen.labels.name.clone()) else {
            tracing::warn!(
                "container {} has our label and no seat; it is left alone",
                seen.name
            );
            return Ok(None);
        };
        let addr = seen.addr_on(&self.recipe.network);
        let state = match (&seen.run, addr) {
            (RunState::Ended(how), _) => {
                let words = self.api.last_words(&seen.id).await;
                State::Ended(ExitReport::with_output(how.clone(), &words).to_string())
            }
            (RunState::Runs, None) => {
                State::Ended("its container is not on our network".to_owned())
            }
            (RunState::Runs, Some(ip)) => State::Runs(ReplicaAddr((ip, self.recipe.port).into())),
        };
        let made_for = post.seat();
        let seat = match made_for {
            Some(seat) => Some(seat),
            None => self.api.seat_from_log(&seen.id).await,
        };
        Ok(Some(Found {
            container: seen.id,
            seat,
            is_written: made_for.is_none(),
            name,
            state,
            made: listed.made,
        }))
    }
}

/// What replicas are to be made of.
async fn container_template(
    api: &Api,
    wanted: &ContainerSettings,
    own: Option<&ContainerInfo>,
    network: &ChosenNetwork,
) -> anyhow::Result<ContainerTemplate> {
    let (image_name, is_own) = match (&wanted.image, own) {
        (Image::Named(name), _) => (name.as_str(), false),
        (Image::Own, Some(own)) => (own.image.as_str(), true),
        (Image::Own, None) => bail!(
            "outside a container replicas need an image: --image NAME, or --engine process for child \
             processes"
        ),
    };
    let image = match api.image(image_name).await {
        Ok(image) => image,
        Err(ApiError::Missing(_)) => bail!("{}", no_image(image_name)),
        Err(fault) => bail!("cannot look at image {image_name} (--image): {fault}"),
    };
    let is_ours = is_own || image.labels.get(TITLE_LABEL).map(String::as_str) == Some(OUR_TITLE);
    Ok(ContainerTemplate {
        fleet: wanted.fleet.clone(),
        image: image.id,
        image_name: image_name.to_owned(),
        entrypoint: is_ours.then_some(BUNDLED),
        port: wanted.port,
        env: wanted.env.clone(),
        memory: wanted.memory,
        nano_cpus: wanted.nano_cpus,
        network: network.handle.clone(),
        aliases: network.aliases,
    })
}

/// The sentence about an image that the engine does not have.
pub(super) fn no_image(name: &str) -> String {
    format!("the engine has no image {name}; build it, or fetch it with: docker pull {name}")
}

/// The network of the replicas.
#[derive(Debug)]
struct ChosenNetwork {
    /// See [`super::seen::NetworkSeen::handle`].
    handle: String,
    aliases: bool,
    gateway: Option<IpAddr>,
}

impl ChosenNetwork {
    /// The one that was asked for, else the only one that somebody made and we are on, else, outside a
    /// container, the engine's own.
    async fn choose(
        api: &Api,
        asked: Option<&str>,
        own: Option<&ContainerInfo>,
    ) -> anyhow::Result<Self> {
        let which = match (asked, own) {
            (Some(asked), _) => asked,
            (None, None) => DEFAULT_NETWORK,
            (None, Some(own)) => only_network(&own.endpoints)?,
        };
        let network = match api.network(which).await {
            Ok(network) => network,
            Err(ApiError::Missing(_)) => bail!("the engine has no network {which} (--network)"),
            Err(fault) => bail!("cannot look at network {which} (--network): {fault}"),
        };
        if ["host", "none"].contains(&network.name.as_str()) {
            bail!("containers have no address of their own on network {which} (--network)");
        }
        let endpoint = own.map(|own| own.endpoints.iter().find(|e| e.network == network.id));
        let endpoint = match endpoint {
            // Not in a container: the host reaches every bridge.
            None => None,
            Some(Some(endpoint)) => Some(endpoint),
            // Neither is one that shares the host's network.
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

fn shares_host(own: &ContainerInfo) -> bool {
    own.endpoints.iter().any(|e| e.network_name == "host")
}

/// The ID of the only network that somebody made and we are on.
fn only_network(endpoints: &[Endpoint]) -> anyhow::Result<&str> {
    let made: Vec<&Endpoint> = endpoints.iter().filter(|e| e.is_user_defined()).collect();
    match made[..] {
        [only] => Ok(&only.network),
        _ => {
            let names = endpoints.iter().map(|e| e.network_name.as_str());
            let names: Vec<&str> = names.collect();
            bail!(
                "which network are the replicas to be on? Say --network; we are on: {}",
                names.join(", ")
            )
        }
    }
}

/// The container we are in; `None` if we are in none that this engine knows.
async fn own_container(api: &Api) -> anyhow::Result<Option<ContainerInfo>> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounted = mounted_id(&mounts).map(|id| id.as_str().to_owned());
    // A container's hostname is the beginning of its ID unless somebody chose another.
    let hostname = std::env::var("HOSTNAME").ok();
    let looks_like_id =
        |name: &String| name.len() >= 12 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let Some(which) = mounted.or_else(|| hostname.filter(looks_like_id)) else {
        return Ok(None);
    };
    match api.inspect(&which).await {
        Ok(own) => Ok(Some(own)),
        // A container of another engine, say; to this one we are outside.
        Err(ApiError::Missing(_)) => Ok(None),
        Err(fault) => Err(fault).context("cannot look at the container we are in"),
    }
}

/// The container whose files are mounted over ours (proc(5), /proc/PID/mountinfo: field 4 is the root of
/// the mount in its file system, field 5 where it is mounted).
fn mounted_id(mountinfo: &str) -> Option<Id> {
    mountinfo.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        let (_, rest) = root.split_once("/containers/")?;
        let id = rest.split('/').next()?;
        HOST_FILES.contains(&place).then(|| Id::new(id))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_container_is_the_one_whose_files_we_see() {
        let id = "0123456789abcdef".repeat(4);
        let inside = format!(
            "612 601 254:1 /var/lib/docker/containers/{id}/resolv.conf /etc/resolv.conf rw - ext4 /dev/x rw\n"
        );
        assert_eq!(mounted_id(&inside), Id::new(&id));
        let host = format!(
            "97 30 0:51 / /var/lib/docker/containers/{id}/mounts/shm rw - tmpfs shm rw\n\
             98 30 0:4 /containers/{id}/hosts /mnt rw - ext4 /dev/x rw\n"
        );
        assert_eq!(mounted_id(&host), None);
    }
}
