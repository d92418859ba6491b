//! The engine's API as far as we use it: every call under a deadline, every answer cut down to what we
//! act on, every error judged by its status code.
//!
//! Nothing is decided here. Surprising: after [`Fault::Unclear`] nobody knows what the engine has done,
//! so whoever changed something must look again; and one word of an answer that the client library does
//! not know makes the whole answer unclear.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bollard::Docker as Client;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, EventMessage};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, EventsOptionsBuilder, InspectContainerOptions,
    KillContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use futures_util::{Stream, StreamExt as _};
use tokio::time::timeout;

use super::api_types::{ContainerEvent, ContainerInfo, ImageInfo, ListedContainer, NetworkInfo};
use super::spec::FLEET_LABEL;

/// What only asks.
const ASKING: Duration = Duration::from_secs(5);
/// What changes something, and the head of the stream of events.
const CHANGING: Duration = Duration::from_secs(20);
/// From SIGTERM to SIGKILL, in whole seconds as the API has it.
const STOP_GRACE: i32 = 2;
/// Where the engine is when nothing else is said.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// What a container is known by: 64 hex digits. We touch a container by this alone, never by a name or
/// by the beginning of its ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::fleet) struct Id(Arc<str>);

/// A text that is no whole container ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct NoId;

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let whole = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if whole {
            Ok(Self(text.into()))
        } else {
            Err(NoId)
        }
    }
}

impl Id {
    /// A whole ID; `None` for anything else.
    pub(super) fn new(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// All of it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    /// As many digits as people are shown elsewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..12])
    }
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// 404: the container, or what it is to be made of, is not there.
    #[error("{0}")]
    Missing(String),
    /// 409: the name is taken, or the container is being removed already.
    #[error("{0}")]
    Conflict(String),
    /// Another status: the engine would not or could not.
    #[error("{message} (status {status})")]
    Refused {
        /// The status code.
        status: u16,
        /// What the engine says about it.
        message: String,
    },
    /// Nobody answers where the engine should be: nothing was done.
    #[error("cannot reach the container engine: {0}")]
    Unreachable(String),
    /// No answer in time, or none that can be read: what was asked for may have been done.
    #[error("{0}")]
    Indeterminate(String),
}

impl From<Error> for ApiError {
    fn from(err: Error) -> Self {
        let mut cause: &dyn std::error::Error = &err;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let cause = cause.to_string();
        match err {
            Error::DockerResponseServerError {
                status_code,
                message,
            } => {
                let message: String = message.trim().chars().take(300).collect();
                match status_code {
                    404 => Self::Missing(message),
                    409 => Self::Conflict(message),
                    status => Self::Refused { status, message },
                }
            }
            Error::SocketNotFoundError(_) => Self::Unreachable(cause),
            Error::HyperLegacyError { err } if err.is_connect() => Self::Unreachable(cause),
            _ => Self::Indeterminate(format!("the engine gave no clear answer: {cause}")),
        }
    }
}

/// The engine, as one fleet talks to it. Every call opens a connection of its own, so it may be used
/// from one event loop after another.
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

/// What happens to containers of the fleet, as it happens; some of it may get lost.
pub(super) struct Events(Pin<Box<dyn Stream<Item = Result<EventMessage, Error>> + Send>>);

impl Events {
    /// The next thing that happens; `None` when the stream is cut or cannot be read. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<ContainerEvent> {
        let message = self.0.next().await?.ok()?;
        Some(ContainerEvent::from(message))
    }
}

impl Api {
    /// Connects to the engine that `DOCKER_HOST` names.
    ///
    /// # Errors
    /// When it does not answer; the sentence says where it was looked for.
    pub(super) async fn connect(fleet: &str) -> anyhow::Result<Self> {
        let host = std::env::var("DOCKER_HOST").ok();
        // Set to nothing is not set.
        let host = host.filter(|host| !host.is_empty());
        let host = host.unwrap_or_else(|| DEFAULT_HOST.to_owned());
        let there = || format!("cannot reach the container engine at {host} (DOCKER_HOST)");
        let client = Client::connect_with_defaults().with_context(there)?;
        let client = client.with_timeout(CHANGING);
        let client = call(ASKING, client.negotiate_version())
            .await
            .with_context(there)?;
        Ok(Self {
            client,
            fleet: fleet.into(),
        })
    }

    /// Every container of the fleet, whatever state it is in.
    pub(super) async fn list(&self) -> Result<Vec<ListedContainer>, ApiError> {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&self.ours());
        let list = self.client.list_containers(Some(options.build()));
        let list = call(ASKING, list).await?;
        Ok(list
            .into_iter()
            .filter_map(ListedContainer::from_summary)
            .collect())
    }

    /// Looks at a container, by ID or by name.
    pub(super) async fn inspect(&self, which: &str) -> Result<ContainerInfo, ApiError> {
        let options = None::<InspectContainerOptions>;
        let seen = call(ASKING, self.client.inspect_container(which, options)).await?;
        ContainerInfo::from_inspect(seen)
            .ok_or_else(|| ApiError::Indeterminate("the engine names no container".to_owned()))
    }

    /// Makes a container.
    pub(super) async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<Id, ApiError> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let made = call(CHANGING, self.client.create_container(Some(options), body)).await?;
        Id::new(&made.id)
            .ok_or_else(|| ApiError::Indeterminate("the engine gave no whole ID".to_owned()))
    }

    /// Starts it; one that runs already is no fault.
    pub(super) async fn start(&self, id: &Id) -> Result<(), ApiError> {
        call(CHANGING, self.client.start_container(id.as_str(), None)).await
    }

    /// Asks it to end, and ends it after a grace; one that has ended is no fault.
    pub(super) async fn stop(&self, id: &Id) -> Result<(), ApiError> {
        let options = StopContainerOptionsBuilder::new().t(STOP_GRACE).build();
        call(
            CHANGING,
            self.client.stop_container(id.as_str(), Some(options)),
        )
        .await
    }

    /// Ends it at once; one that has ended is a conflict.
    pub(super) async fn kill(&self, id: &Id) -> Result<(), ApiError> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        let kill = self.client.kill_container(id.as_str(), Some(options));
        call(CHANGING, kill).await
    }

    /// Ends it if it runs, and removes it with the volumes that nobody else knows.
    pub(super) async fn remove(&self, id: &Id) -> Result<(), ApiError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
        let options = Some(options.build());
        call(CHANGING, self.client.remove_container(id.as_str(), options)).await
    }

    /// The events of the fleet's containers.
    pub(super) fn events(&self) -> Events {
        let mut filters = self.ours();
        filters.insert("type", vec!["container".to_owned()]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        Events(Box::pin(self.client.events(Some(options))))
    }

    /// Looks at a network, by name or ID.
    pub(super) async fn network(&self, which: &str) -> Result<NetworkInfo, ApiError> {
        let seen = call(ASKING, self.client.inspect_network(which, None)).await?;
        NetworkInfo::from_network(seen)
            .ok_or_else(|| ApiError::Indeterminate("the engine names no network".into()))
    }

    /// Looks at an image, by name or ID.
    pub(super) async fn image(&self, which: &str) -> Result<ImageInfo, ApiError> {
        let seen = call(ASKING, self.client.inspect_image(which)).await?;
        ImageInfo::from_image(seen)
            .ok_or_else(|| ApiError::Indeterminate("the engine names no image".into()))
    }

    /// The filter that keeps foreign containers out of every list.
    fn ours(&self) -> HashMap<&'static str, Vec<String>> {
        HashMap::from([("label", vec![format!("{FLEET_LABEL}={}", self.fleet)])])
    }
}

async fn call<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, ApiError> {
    match timeout(limit, work).await {
        Ok(done) => done.map_err(ApiError::from),
        Err(_) => Err(ApiError::Indeterminate(format!(
            "the engine did not answer within {limit:?}"
        ))),
    }
}
