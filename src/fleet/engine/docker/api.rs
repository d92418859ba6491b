//! The container engine's API, as far as the fleet uses it. Every call has a deadline, and every
//! answer is cut down to what the fleet needs.
//!
//! After [`ApiError::Indeterminate`] the engine may or may not have done the work, so the caller of
//! a change must inspect again. A single enum value in an answer that the client library does not
//! know makes the whole answer indeterminate.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker as Client;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, EventMessage};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, EventsOptionsBuilder,
    InspectContainerOptions, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt as _};

use super::api_types::{ContainerEvent, ContainerInfo, ListedContainer};
use super::container_id::ContainerId;
use super::image_types::ImageInfo;
use super::network_types::NetworkInfo;
use super::spec::FLEET_LABEL;
use crate::fleet::engine::client::{self, call};

pub(super) use crate::fleet::engine::client::ApiError;

/// Deadline of a call that only reads.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Deadline of a call that changes something, and of the head of the event stream.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(20);
/// Deadline of a pull.
const PULL_TIMEOUT: Duration = Duration::from_secs(600);

/// The client of the engine's API, for one fleet. Every call opens a connection of its own, so it
/// may be used from one event loop after another.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) client: Client,
    fleet: Arc<str>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("fleet", &self.fleet).finish()
    }
}

/// The stream of events of the fleet's containers; events may get lost.
pub(super) struct Events(Pin<Box<dyn Stream<Item = Result<EventMessage, Error>> + Send>>);

impl Events {
    /// Waits for the next event; `None` when the stream is broken or unreadable. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<ContainerEvent> {
        let message = self.0.next().await?.ok()?;
        Some(ContainerEvent::from(message))
    }
}

impl Api {
    /// Connects to the engine that `DOCKER_HOST` names.
    ///
    /// # Errors
    /// The engine does not answer. The sentence names its address.
    pub(super) async fn connect(fleet: &str) -> anyhow::Result<Self> {
        let client = client::connect(CHANGE_TIMEOUT).await?;
        Ok(Self {
            client,
            fleet: fleet.into(),
        })
    }

    /// Lists every container of the fleet, in any state.
    pub(super) async fn list(&self) -> Result<Vec<ListedContainer>, ApiError> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&self.fleet_filter());
        let list = self.client.list_containers(Some(options.build()));
        let list = call(READ_TIMEOUT, list).await?;
        Ok(list
            .into_iter()
            .filter_map(ListedContainer::from_summary)
            .collect())
    }

    /// Inspects a container, by ID or by name.
    pub(super) async fn inspect(&self, which: &str) -> Result<ContainerInfo, ApiError> {
        let options = None::<InspectContainerOptions>;
        let response = call(READ_TIMEOUT, self.client.inspect_container(which, options)).await?;
        ContainerInfo::from_inspect(response)
            .ok_or_else(|| ApiError::Indeterminate("the engine names no container".to_owned()))
    }

    /// Creates a container.
    pub(super) async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<ContainerId, ApiError> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let created = call(
            CHANGE_TIMEOUT,
            self.client.create_container(Some(options), body),
        )
        .await?;
        ContainerId::new(&created.id).ok_or_else(|| {
            ApiError::Indeterminate("the engine gave no full container ID".to_owned())
        })
    }

    /// Gives a container another name. A name that is taken is a conflict.
    pub(super) async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), ApiError> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        let rename = self.client.rename_container(id.as_str(), options);
        call(CHANGE_TIMEOUT, rename).await
    }

    /// Starts a container. A container that runs already is no error.
    pub(super) async fn start(&self, id: &ContainerId) -> Result<(), ApiError> {
        call(
            CHANGE_TIMEOUT,
            self.client.start_container(id.as_str(), None),
        )
        .await
    }

    /// Stops a container: its stop signal, then SIGKILL after `grace`, in whole seconds as in the
    /// API. A container that has ended is no error.
    pub(super) async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), ApiError> {
        let seconds = grace.as_millis().div_ceil(1000);
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        call(
            CHANGE_TIMEOUT.saturating_add(grace),
            self.client.stop_container(id.as_str(), Some(options)),
        )
        .await
    }

    /// Kills a container at once. A container that has ended is a conflict.
    pub(super) async fn kill(&self, id: &ContainerId) -> Result<(), ApiError> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let kill = self.client.kill_container(id.as_str(), Some(options));
        call(CHANGE_TIMEOUT, kill).await
    }

    /// Kills a container if it runs, and removes it with its anonymous volumes.
    pub(super) async fn remove(&self, id: &ContainerId) -> Result<(), ApiError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
        let options = Some(options.build());
        call(
            CHANGE_TIMEOUT,
            self.client.remove_container(id.as_str(), options),
        )
        .await
    }

    /// Opens the stream of events of the fleet's containers.
    pub(super) fn events(&self) -> Events {
        let mut filters = self.fleet_filter();
        filters.insert("type", vec!["container".to_owned()]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        Events(Box::pin(self.client.events(Some(options))))
    }

    /// Inspects a network, by name or ID.
    pub(super) async fn network(&self, which: &str) -> Result<NetworkInfo, ApiError> {
        let response = call(READ_TIMEOUT, self.client.inspect_network(which, None)).await?;
        NetworkInfo::from_network(response)
            .ok_or_else(|| ApiError::Indeterminate("the engine names no network".into()))
    }

    /// Inspects an image, by name or ID.
    pub(super) async fn image(&self, which: &str) -> Result<ImageInfo, ApiError> {
        let response = call(READ_TIMEOUT, self.client.inspect_image(which)).await?;
        ImageInfo::from_image(response)
            .ok_or_else(|| ApiError::Indeterminate("the engine names no image".into()))
    }

    /// Pulls an image from its registry.
    pub(super) async fn pull(
        &self,
        image: &str,
        credentials: Option<DockerCredentials>,
    ) -> Result<(), ApiError> {
        let options = CreateImageOptionsBuilder::new().from_image(image);
        let options = Some(options.build());
        let mut progress = self.client.create_image(options, None, credentials);
        let pulled = async {
            while let Some(step) = progress.next().await {
                step?;
            }
            Ok(())
        };
        call(PULL_TIMEOUT, pulled).await
    }

    /// Returns the filter that excludes foreign containers from lists and events.
    fn fleet_filter(&self) -> HashMap<&'static str, Vec<String>> {
        HashMap::from([("label", vec![format!("{FLEET_LABEL}={}", self.fleet)])])
    }
}
