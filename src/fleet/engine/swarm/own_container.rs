//! Our own container, as far as it tells where the service is: its networks and its stack.

use serde_json::Value;

use super::api::Api;
use crate::fleet::engine::client::ApiError;
use crate::fleet::engine::docker::own_container_id;

/// Label of the stack to which a container of a service belongs.
const STACK_LABEL: &str = "com.docker.stack.namespace";
/// Label of the service to which a container belongs.
const SERVICE_LABEL: &str = "com.docker.swarm.service.id";

/// Our own container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnContainer {
    /// ID of the service of the balancers.
    pub(super) service: Option<String>,
    /// Stack of that service.
    pub(super) stack: Option<String>,
    /// IDs of its networks.
    pub(super) networks: Vec<String>,
}

impl OwnContainer {
    /// Inspects our own container; `None` if this engine knows none.
    ///
    /// # Errors
    /// The engine gives no answer.
    pub(super) async fn find(api: &Api) -> Result<Option<Self>, ApiError> {
        let Some(id) = own_container_id() else {
            return Ok(None);
        };
        match api.get(&format!("/containers/{id}/json")).await {
            Ok(container) => Ok(Some(Self::read(&container))),
            // Perhaps a container of another engine; for this engine we are outside.
            Err(ApiError::Missing(_)) => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Reads an inspection.
    pub(super) fn read(container: &Value) -> Self {
        let label = |name: &str| {
            let value = container["Config"]["Labels"][name].as_str();
            value.map(str::to_owned)
        };
        let networks = container["NetworkSettings"]["Networks"].as_object();
        let networks = networks.into_iter().flat_map(|networks| networks.values());
        let networks = networks.filter_map(|one| one["NetworkID"].as_str());
        Self {
            service: label(SERVICE_LABEL),
            stack: label(STACK_LABEL),
            networks: networks.map(str::to_owned).collect(),
        }
    }
}
