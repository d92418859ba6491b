//! The routes without a text command of the same form: help, the API description, health and
//! metrics.
//!
//! They need no token: they change nothing and show neither clients nor names of replicas. Pages of
//! other sites are denied the metrics.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::reply::ApiReply;
use super::request::admit_site;
use crate::control::execute::{self, CommandOutput};
use crate::control::metrics;
use crate::control::shared::Shared;

/// Description of the routes, in OpenAPI 3.1.
pub(in crate::control) const OPENAPI: &str = include_str!("../openapi.json");

/// Lists the commands.
pub(super) async fn help() -> ApiReply {
    Ok(execute::help()).into()
}

/// Returns the API description.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// Answers as long as the program runs.
pub(super) async fn healthz() -> ApiReply {
    Ok(CommandOutput::from_word("ok")).into()
}

/// Answers 200 if requests can be served now, otherwise 503 with the reason.
pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> ApiReply {
    match (shared.context.ready)() {
        Ok(()) => healthz().await,
        Err(reason) => ApiReply::failure(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}

/// Returns the metrics for Prometheus.
pub(super) async fn metrics(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiReply> {
    admit_site(&shared.context, &request, "/metrics")?;
    let text = metrics::scrape(&shared.context).await;
    let text = text.map_err(|err| ApiReply::failure(StatusCode::INTERNAL_SERVER_ERROR, &err))?;
    Ok(([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], text).into_response())
}
