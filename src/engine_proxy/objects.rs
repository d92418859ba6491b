//! The objects that calls name: the engine is asked for each of them before the call is passed on.
//!
//! A container is the fleet's by its label. The call is then made by its full ID, because a name
//! may move to another container meanwhile. A container of the balancer itself has a label of its
//! own ([`BALANCER_LABEL`]): with the fleet's label the balancer would remove itself as a stray.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::call::encode;
use super::conditions::Object;
use super::engine::Engine;
use super::refusal::Refusal;
use crate::fleet::{ContainerSettings, FLEET_LABEL, Image, OWNER_LABEL, SEAT_LABEL, with_tag};

/// Label of a balancer's own container, with the name of its fleet or service.
pub(super) const BALANCER_LABEL: &str = "ringmaster.balancer";
/// Label that Docker gives the containers of a service.
const SERVICE_NAME_LABEL: &str = "com.docker.swarm.service.name";
/// Network of the replicas of a balancer outside a container.
const DEFAULT_NETWORK: &str = "bridge";
/// Networks on which containers have no address of their own.
const UNFIT_NETWORKS: [&str; 2] = ["host", "none"];

/// Objects that this proxy permits.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    engine: Engine,
    containers: ContainerSettings,
    /// Permitted images by name, each with its tag.
    images: Vec<String>,
    service: Option<String>,
}

impl Objects {
    /// Permits the objects of these settings, and the images that orders may bring.
    pub(super) fn new(
        engine: Engine,
        containers: ContainerSettings,
        allowed_images: &[String],
        service: Option<String>,
    ) -> Self {
        let own = match &containers.image {
            Image::Named(name) => Some(name),
            Image::Own => None,
        };
        let images = own.into_iter().chain(allowed_images);
        Self {
            images: images.map(|name| with_tag(name)).collect(),
            engine,
            containers,
            service,
        }
    }

    /// Finds the object of a call, and returns its name in the call to the engine.
    ///
    /// # Errors
    /// The object is not permitted, or the engine does not have it.
    pub(super) async fn find(&self, kind: Object, which: &str) -> Result<String, Refusal> {
        match kind {
            Object::None => Ok(String::new()),
            Object::Network => self.network(which).await,
            Object::Image => self.image(which).await,
            Object::Service => {
                let service = self.service(which).await?;
                Ok(text(&service["ID"]))
            }
            Object::Task => {
                let task = self.look_up(&format!("/tasks/{which}")).await?;
                match text(&task["ServiceID"]).as_str() {
                    "" => return Err(Refusal::denied("the task is of no service")),
                    service => self.service(service).await?,
                };
                Ok(text(&task["ID"]))
            }
            Object::Container
            | Object::ContainerOrBalancer
            | Object::Replica
            | Object::Lock
            | Object::Balancer
            | Object::TaskContainer => self.container(kind, which).await,
        }
    }

    /// Checks an image, by a permitted name or by the ID of one.
    pub(super) async fn image(&self, which: &str) -> Result<String, Refusal> {
        if self.is_image_name(which) || self.is_image_id(which).await? {
            return Ok(which.to_owned());
        }
        Err(Refusal::denied(format!(
            "image {which} is not permitted (--image, --allow-image)"
        )))
    }

    /// Checks a network, by name or ID.
    pub(super) async fn network(&self, which: &str) -> Result<String, Refusal> {
        let is_fit = !UNFIT_NETWORKS.contains(&which);
        if is_fit && self.is_network(which).await? {
            return Ok(which.to_owned());
        }
        Err(Refusal::denied(format!(
            "network {which} is not permitted (--network)"
        )))
    }

    /// Returns the service, by its ID.
    pub(super) async fn service(&self, which: &str) -> Result<Value, Refusal> {
        let service = self.look_up(&format!("/services/{which}")).await?;
        let name = service["Spec"]["Name"].as_str();
        match name.is_some() && name == self.service.as_deref() {
            true => Ok(service),
            false => Err(Refusal::denied(format!(
                "service {} is not that of --service",
                name.unwrap_or(which)
            ))),
        }
    }

    /// Returns `true` for a permitted name of an image.
    pub(super) fn is_image_name(&self, name: &str) -> bool {
        self.images.contains(&with_tag(name))
    }

    async fn container(&self, kind: Object, which: &str) -> Result<String, Refusal> {
        let found = self.look_up(&format!("/containers/{which}/json")).await?;
        let label = |key: &str| found["Config"]["Labels"][key].as_str();
        let fleet = self.containers.fleet.as_str();
        let service = self.service.as_deref();
        let is_ours = label(FLEET_LABEL) == Some(fleet);
        let is_balancer = label(BALANCER_LABEL) == Some(service.unwrap_or(fleet));
        let is_permitted = match kind {
            Object::Container => is_ours,
            Object::ContainerOrBalancer => is_ours || is_balancer,
            Object::Balancer => is_balancer,
            Object::Replica => {
                is_ours && label(SEAT_LABEL).is_some() && label(OWNER_LABEL).is_none()
            }
            Object::Lock => is_ours && label(OWNER_LABEL).is_some(),
            Object::TaskContainer => service.is_some() && label(SERVICE_NAME_LABEL) == service,
            Object::None | Object::Network | Object::Image | Object::Service | Object::Task => {
                false
            }
        };
        if is_permitted {
            return Ok(text(&found["Id"]));
        }
        let name = text(&found["Name"]);
        let name = name.trim_start_matches('/');
        Err(Refusal::denied(format!("container {name} is no {kind}")))
    }

    /// Returns `true` for the ID of a permitted image, or of one that a container of the fleet
    /// runs: its name may have moved to another image since.
    async fn is_image_id(&self, id: &str) -> Result<bool, Refusal> {
        for name in &self.images {
            let (status, body) = self.engine.get(&format!("/images/{name}/json")).await?;
            if status == StatusCode::OK && json_of(&body)["Id"] == *id {
                return Ok(true);
            }
        }
        let runs_it = |list: &[Value]| list.iter().any(|one| one["ImageID"] == *id);
        let own = self.labelled(FLEET_LABEL, true).await?;
        let is_own_image = self.containers.image == Image::Own;
        Ok(runs_it(&own) || (is_own_image && runs_it(&self.balancers().await?)))
    }

    async fn is_network(&self, which: &str) -> Result<bool, Refusal> {
        if let Some(network) = &self.containers.network {
            if which == network {
                return Ok(true);
            }
            let found = self.engine.get(&format!("/networks/{network}")).await?;
            let found = json_of(&found.1);
            return Ok(found["Id"] == *which || found["Name"] == *which);
        }
        let balancers = self.balancers().await?;
        let mut networks = balancers
            .iter()
            .filter_map(|one| one["NetworkSettings"]["Networks"].as_object())
            .flatten()
            .filter(|(name, _)| !UNFIT_NETWORKS.contains(&name.as_str()));
        let is_it = |(name, one): (&String, &Value)| name == which || one["NetworkID"] == *which;
        Ok(networks.any(is_it) || (balancers.is_empty() && which == DEFAULT_NETWORK))
    }

    /// Returns the containers of balancers that run.
    async fn balancers(&self) -> Result<Vec<Value>, Refusal> {
        self.labelled(BALANCER_LABEL, false).await
    }

    /// Lists the containers whose label has the name of the fleet.
    async fn labelled(&self, label: &str, all: bool) -> Result<Vec<Value>, Refusal> {
        let label = format!("{label}={}", self.containers.fleet);
        let filters = encode(&json!({"label": [label]}).to_string());
        let list = format!("/containers/json?all={all}&filters={filters}");
        match self.look_up(&list).await? {
            Value::Array(list) => Ok(list),
            _ => Ok(Vec::new()),
        }
    }

    /// Returns the engine's answer to a lookup.
    async fn look_up(&self, target: &str) -> Result<Value, Refusal> {
        let (status, body) = self.engine.get(target).await?;
        match status {
            StatusCode::OK => Ok(json_of(&body)),
            _ => Err(Refusal::Engine(status, body)),
        }
    }
}

/// Returns the value of a JSON text; null if it is none.
fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
