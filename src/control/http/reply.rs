//! An answer of the HTTP side: a status, a JSON text and the fields that depend on them.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::access::AccessDenied;
use crate::control::execute::CommandResult;
use crate::orders::{self, OrderError};

/// Longest part of a path that an answer repeats, in characters.
pub(super) const MAX_ECHOED_PATH: usize = 200;

/// A status and a JSON text.
#[derive(Debug)]
pub(super) struct ApiReply {
    status: u16,
    text: String,
    /// `true` closes the connection, because a part of the request may not have been read
    /// (RFC 9112 §9.6).
    is_last: bool,
    /// Seconds until the client may try again.
    retry_after: Option<u64>,
}

impl ApiReply {
    pub(super) fn failure(status: StatusCode, sentence: &str) -> Self {
        Self::new(status.as_u16(), orders::failure(sentence))
    }

    pub(super) fn with_close(self) -> Self {
        Self {
            is_last: true,
            ..self
        }
    }

    fn new(status: u16, text: String) -> Self {
        Self {
            status,
            text,
            is_last: false,
            retry_after: None,
        }
    }
}

impl From<CommandResult> for ApiReply {
    fn from(result: CommandResult) -> Self {
        match result {
            Ok(output) => Self::new(200, output.json()),
            Err(refusal) => refusal.into(),
        }
    }
}

impl From<OrderError> for ApiReply {
    fn from(refusal: OrderError) -> Self {
        Self::new(refusal.status, orders::failure(&refusal.sentence))
    }
}

impl From<AccessDenied> for ApiReply {
    fn from(denial: AccessDenied) -> Self {
        Self {
            retry_after: denial.retry_after(),
            ..Self::new(denial.status, orders::failure(&denial.to_string()))
        }
    }
}

impl IntoResponse for ApiReply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let close = self.is_last.then_some([(header::CONNECTION, "close")]);
        let wait = self
            .retry_after
            .map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        (status, kind, close, wait, self.text + "\n").into_response()
    }
}

/// Returns the answer for a path that does not exist.
pub(super) fn unknown_path(uri: &Uri) -> ApiReply {
    let sentence = format!(
        "'{}' endpoint does not exist on the control port",
        echo_path(uri)
    );
    ApiReply::failure(StatusCode::NOT_FOUND, &sentence)
}

/// Returns the beginning of a path. Its characters are ASCII and visible (RFC 3986 §3.3).
pub(super) fn echo_path(uri: &Uri) -> String {
    uri.path().chars().take(MAX_ECHOED_PATH).collect()
}
