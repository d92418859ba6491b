//! The routes that are no text command: what there is to ask, how the program is, and what it has counted.
//!
//! They need no token: they change nothing, tell of no client, and of no replica by name. Only pages of other sites
//! do not get what was counted.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ApiReply;
use super::request::admit_site;
use super::routes::{OPENAPI, result_reply};
use crate::control::{Shared, execute, metrics as counted};

/// The commands there are.
pub(super) async fn help() -> ApiReply {
    result_reply(Ok(execute::help()))
}

/// The description of this table.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// That the program runs.
pub(super) async fn healthz() -> ApiReply {
    result_reply(Ok(execute::CommandOutput::from_word("ok")))
}

/// Whether requests can be served now; if not, why.
pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> ApiReply {
    match (shared.context.ready)() {
        Ok(()) => healthz().await,
        Err(reason) => ApiReply::failure(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}

/// For anyone but pages of other sites.
pub(super) async fn metrics(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiReply> {
    admit_site(&shared.context, &request, "/metrics")?;
    let text = counted::scrape(&shared.context).await;
    let text =
        text.map_err(|fault| ApiReply::failure(StatusCode::INTERNAL_SERVER_ERROR, &fault))?;
    Ok(([(header::CONTENT_TYPE, counted::MEDIA_TYPE)], text).into_response())
}
