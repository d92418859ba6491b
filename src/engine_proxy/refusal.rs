//! Refusals, and the answers that they become.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::engine::EngineError;

/// A call that is not passed on.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The rules do not permit it, for this reason.
    Denied(String),
    /// Its body is too long.
    TooLong,
    /// Its body did not arrive.
    Incomplete,
    /// The engine does not have the object, or fails: its own answer.
    Engine(StatusCode, Bytes),
    /// The engine gives no answer.
    NoAnswer(EngineError),
}

impl From<EngineError> for Refusal {
    fn from(err: EngineError) -> Self {
        Self::NoAnswer(err)
    }
}

impl Refusal {
    /// Returns a denial.
    pub(super) fn denied(reason: impl Into<String>) -> Self {
        Self::Denied(reason.into())
    }

    /// Returns the reason for the log; `None` if the engine has answered.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::Denied(reason) => Some(reason.clone()),
            Self::TooLong => Some("its body is too long".to_owned()),
            Self::Incomplete => Some("its body did not arrive".to_owned()),
            Self::Engine(..) => None,
            Self::NoAnswer(err) => Some(format!("the engine gives no answer: {err}")),
        }
    }

    /// Returns the answer to the client.
    pub(super) fn into_response(self) -> Response<Body> {
        let status = match &self {
            Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::NoAnswer(_) => StatusCode::BAD_GATEWAY,
            Self::Engine(status, _) => *status,
        };
        let sentence = self.reason().unwrap_or_default();
        let (is_ours, body) = match self {
            Self::Engine(_, body) => (false, body),
            _ => {
                let message = json!({"message": format!("engine-proxy: {sentence}")});
                (true, message.to_string().into())
            }
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        if is_ours {
            // The rest of its bytes may be anything.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
