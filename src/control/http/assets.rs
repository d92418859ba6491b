//! The files of the dashboard over HTTP. They need no token: the page requests all data from the
//! API.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::reply::unknown_path;
use crate::control::dashboard::{FIELDS, find};

/// Answers with the file of the path.
pub(super) async fn serve(request: Request) -> Response {
    let Some(file) = find(request.uri().path()) else {
        return unknown_path(request.uri()).into_response();
    };
    let mut response = ([(header::CONTENT_TYPE, file.kind)], file.text).into_response();
    for (name, value) in FIELDS {
        let name = HeaderName::from_static(name);
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
