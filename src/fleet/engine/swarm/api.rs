//! The swarm's part of the container engine's API, in JSON of our own.
//!
//! The client library has no network of a task, fails at a word that it does not know, and loses
//! fields of a service that it reads and writes. So a modifier of requests sends one of its calls
//! to another path, with another body, and only the fields that count here are read from the
//! answer.

use std::fmt;
use std::time::Duration;

use bollard::Docker as Client;
use bollard::body_full;
use bollard::errors::Error;
use bollard::query_parameters::UpdateServiceOptions;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde_json::Value;

use crate::fleet::engine::client::{self, ApiError, call};

/// Deadline of a call. Without a leader an engine holds a call for 20 s, and answers a new one as
/// soon as there is a leader.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// Deadline of the client library itself, which is less clear about it.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum length of an answer, in bytes. A task takes about 1.6 KiB.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The client of the engine's API.
#[derive(Clone)]
pub(super) struct Api(Client);

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
    /// Connects to the engine that `DOCKER_HOST` names.
    ///
    /// # Errors
    /// The engine does not answer. The sentence names its address.
    pub(super) async fn connect() -> anyhow::Result<Self> {
        client::connect(CLIENT_TIMEOUT).await.map(Self)
    }

    /// Reads `path`, which begins with a slash and may have a query.
    pub(super) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        let bytes = call(CALL_TIMEOUT, self.read(path.to_owned())).await?;
        let answer =
            bytes.ok_or_else(|| ApiError::Indeterminate("the answer is too long".into()))?;
        serde_json::from_slice(&answer).map_err(|err| {
            ApiError::Indeterminate(format!("the engine gave no clear answer: {err}"))
        })
    }

    /// Replaces the specification of a service, if this is still its version. The engine refuses
    /// an older version with status 500, which it also has for other failures.
    pub(super) async fn update(
        &self,
        service: &str,
        version: u64,
        spec: &Value,
    ) -> Result<(), ApiError> {
        let path = format!("/services/{service}/update?version={version}");
        let client = self.redirected(path, Some(spec.to_string().into()));
        let options = UpdateServiceOptions::default();
        let work = client.update_service(service, Default::default(), options, None);
        call(CALL_TIMEOUT, work).await.map(|_| ())
    }

    /// Kills a container. One that is gone is no error.
    pub(super) async fn kill(&self, container: &str) -> Result<(), ApiError> {
        let work = self.0.kill_container(container, None);
        match call(CALL_TIMEOUT, work).await {
            Err(ApiError::Missing(_) | ApiError::Conflict(_)) => Ok(()),
            result => result,
        }
    }

    /// Returns the answer of the engine, or `None` for one that is too long.
    async fn read(&self, path: String) -> Result<Option<Vec<u8>>, Error> {
        let client = self.redirected(path, None);
        let mut chunks = Box::pin(client.export_image("x"));
        let mut answer = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            answer.extend_from_slice(&chunk);
            if answer.len() > MAX_ANSWER {
                return Ok(None);
            }
        }
        Ok(Some(answer))
    }

    /// Returns a client whose next call goes to this path of the same engine, with this body.
    fn redirected(&self, path: String, body: Option<Bytes>) -> Client {
        self.0.clone().with_request_modifier(move |mut request| {
            let uri = request.uri();
            let scheme = uri.scheme_str().unwrap_or("http");
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            if let Ok(uri) = format!("{scheme}://{authority}{path}").parse() {
                *request.uri_mut() = uri;
            }
            if let Some(body) = &body {
                *request.body_mut() = body_full(body.clone());
            }
            request
        })
    }
}
