//! The connection to the container engine: its address, the deadline of each call, and the
//! classification of errors by their status code.

use std::time::Duration;

use anyhow::Context as _;
use bollard::Docker as Client;
use bollard::errors::Error;
use tokio::time::timeout;

/// Deadline of the first call, which asks for the version of the API.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum length of an engine's error message that is kept, in characters.
const MAX_MESSAGE_CHARS: usize = 300;
/// Address of the engine without `DOCKER_HOST`.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The failure of a call.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// 404: the container, or its image, is missing.
    #[error("{0}")]
    Missing(String),
    /// 409: the name is taken, or the container is being removed already.
    #[error("{0}")]
    Conflict(String),
    /// Any other status: the engine refused or failed.
    #[error("{message} (status {status})")]
    Refused {
        /// The status code.
        status: u16,
        /// The engine's message.
        message: String,
    },
    /// No connection to the engine: nothing was done.
    #[error("cannot reach the container engine: {0}")]
    Unreachable(String),
    /// No answer in time, or an unreadable one: the work may have been done.
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
                let message: String = message.trim().chars().take(MAX_MESSAGE_CHARS).collect();
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

/// Connects to the engine that `DOCKER_HOST` names. The client itself ends a call after `limit`.
/// Every call opens a connection of its own, so the client may be used from one event loop after
/// another.
///
/// # Errors
/// The engine does not answer. The sentence names its address.
pub(super) async fn connect(limit: Duration) -> anyhow::Result<Client> {
    let host = engine_address();
    let context = || format!("cannot reach the container engine at {host} (DOCKER_HOST)");
    let client = Client::connect_with_defaults().with_context(context)?;
    let client = client.with_timeout(limit);
    call(VERSION_TIMEOUT, client.negotiate_version())
        .await
        .with_context(context)
}

/// Returns the address of the engine that `DOCKER_HOST` names. An empty variable counts as unset.
#[must_use]
pub fn engine_address() -> String {
    let host = std::env::var("DOCKER_HOST").ok();
    let host = host.filter(|host| !host.is_empty());
    host.unwrap_or_else(|| DEFAULT_HOST.to_owned())
}

/// Makes a call with a deadline.
pub(super) async fn call<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, ApiError> {
    match timeout(limit, work).await {
        Ok(result) => result.map_err(ApiError::from),
        Err(_) => Err(ApiError::Indeterminate(format!(
            "the engine did not answer within {limit:?}"
        ))),
    }
}
