//! The client of the engine: a connection for each call, and only the fields that a call needs.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::uri::InvalidUri;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::body::{BodyError, read_whole};
use crate::wire::stream_addr::UnixPath;
use crate::wire::unix_socket;

/// Time limit of a connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of a lookup before a call.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer to a lookup, in bytes.
const MAX_LOOKUP: usize = 16 * 1024 * 1024;
/// Credentials for a pull.
pub(super) const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// Address of an engine, as `DOCKER_HOST` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EngineAddr {
    /// `unix:///var/run/docker.sock`
    Unix(UnixPath),
    /// `tcp://127.0.0.1:2375`
    Tcp(String),
}

impl FromStr for EngineAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refusal = |why: &str| format!("DOCKER_HOST {text}: {why}");
        if let Some(path) = text.strip_prefix("unix://") {
            let path: Result<UnixPath, _> = path.parse();
            return path
                .map(Self::Unix)
                .map_err(|err| refusal(&err.to_string()));
        }
        match text.strip_prefix("tcp://") {
            Some(addr) if !addr.is_empty() => Ok(Self::Tcp(addr.to_owned())),
            _ => Err(refusal("is neither unix://PATH nor tcp://HOST:PORT")),
        }
    }
}

/// The failure of a call to the engine.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("no answer in time")]
    Timeout,
    #[error("the target of a call is none: {0}")]
    Target(#[from] InvalidUri),
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// A call to the engine.
#[derive(Clone, Debug)]
pub(super) struct EngineCall {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    /// JSON, or nothing.
    pub(super) body: Bytes,
    /// Value of [`REGISTRY_AUTH`].
    pub(super) registry_auth: Option<HeaderValue>,
}

/// The engine.
#[derive(Clone, Debug)]
pub(super) struct Engine(EngineAddr);

impl Engine {
    /// Creates a client of the engine at this address. It connects to nothing.
    pub(super) fn new(addr: EngineAddr) -> Self {
        Self(addr)
    }

    /// Makes a call, and returns the answer when its head is there. The connection ends with the
    /// body.
    ///
    /// # Errors
    /// The engine cannot be reached, or its answer is no HTTP.
    pub(super) async fn send(&self, call: EngineCall) -> Result<Response<Incoming>, EngineError> {
        let stream = timeout(CONNECT_TIMEOUT, self.connect()).await;
        let stream = stream.map_err(|_| EngineError::Timeout)??;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(err) = connection.await {
                tracing::debug!("connection to the engine: {err}");
            }
        });
        let mut request = Request::new(Body::from(call.body.clone()));
        *request.method_mut() = call.method;
        *request.uri_mut() = call.target.parse()?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("docker"));
        if !call.body.is_empty() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        if let Some(auth) = call.registry_auth {
            headers.insert(REGISTRY_AUTH, auth);
        }
        Ok(sender.send_request(request).await?)
    }

    /// Makes a lookup and returns its whole answer.
    ///
    /// # Errors
    /// As [`Self::send`], or the answer is too late or too long.
    pub(super) async fn get(&self, target: &str) -> Result<(StatusCode, Bytes), EngineError> {
        let call = EngineCall {
            method: Method::GET,
            target: target.to_owned(),
            body: Bytes::new(),
            registry_auth: None,
        };
        let whole = async {
            let answer = self.send(call).await?;
            let status = answer.status();
            let body = read_whole(Body::new(answer.into_body()), MAX_LOOKUP).await?;
            Ok((status, body))
        };
        let answer = timeout(LOOKUP_TIMEOUT, whole).await;
        answer.unwrap_or(Err(EngineError::Timeout))
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        match &self.0 {
            EngineAddr::Unix(path) => unix_socket::connect(path).await,
            EngineAddr::Tcp(addr) => TcpStream::connect(addr).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_a_unix_socket_or_of_tcp() {
        let unix = EngineAddr::Unix("/run/a.sock".parse().unwrap());
        assert_eq!("unix:///run/a.sock".parse(), Ok(unix));
        let tcp = EngineAddr::Tcp("10.0.0.1:2375".to_owned());
        assert_eq!("tcp://10.0.0.1:2375".parse(), Ok(tcp));
        for bad in [
            "",
            "unix://",
            "unix://a",
            "tcp://",
            "ssh://a",
            "/run/a.sock",
        ] {
            let err = bad.parse::<EngineAddr>().unwrap_err();
            assert!(err.starts_with("DOCKER_HOST "), "{bad}: {err}");
        }
    }
}
