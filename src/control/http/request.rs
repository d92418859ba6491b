//! The parts of a request: its access check, its body, the segments of its path and the fields of
//! its query.
//!
//! The access rules themselves are in `crate::access`. `+` in a query is itself and not a blank: it
//! occurs in the expressions of rings, and only HTML forms write blanks that way.

use std::io;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderName, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::time::timeout;

use super::reply::ApiReply;
use crate::access::{AccessKind, Caller};
use crate::control::connection::Endpoints;
use crate::control::context::ControlContext;
use crate::orders::{MAX_ORDER_BODY, OrderError, parse_fields};
use crate::terminal;
use crate::wire::peer_addr::PeerAddr;
use crate::wire::socket_owner::SocketOwner;

/// The parts of a request from which a command is extracted.
pub(super) struct RequestParts<'a> {
    path: &'a str,
    query: &'a str,
    pub(super) body: &'a [u8],
}

impl<'a> RequestParts<'a> {
    pub(super) fn new(path: &'a str, query: &'a str, body: &'a [u8]) -> Self {
        Self { path, query, body }
    }

    /// Returns the n-th segment of the path, from 0, percent-decoded.
    pub(super) fn path_segment(&self, n: usize) -> Vec<u8> {
        let segment = self.path.split('/').nth(n + 1);
        percent_decode(segment.unwrap_or_default())
    }

    /// Returns the fields of the query called `names`; `None` for a missing field.
    ///
    /// # Errors
    /// When the query has another field, a field twice, or bytes that are not UTF-8.
    pub(super) fn fields<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[Option<String>; N], OrderError> {
        let mut values = [const { None }; N];
        for field in self.query.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let name = utf8(percent_decode(name))?;
            let Some(at) = names.iter().position(|known| *known == name) else {
                let known = names.join(", ");
                let sentence = format!(
                    "'{}' is not in the query of this path: {known}",
                    terminal::escape(&name)
                );
                return Err(OrderError::invalid(sentence));
            };
            if values[at].replace(utf8(percent_decode(value))?).is_some() {
                return Err(OrderError::invalid(format!("{name} is there twice")));
            }
        }
        Ok(values)
    }

    /// Returns a field of the body.
    ///
    /// # Errors
    /// The body is no JSON object, has no such field, or has another one.
    pub(super) fn value(&self, name: &str) -> Result<Value, OrderError> {
        let value = parse_fields(self.body, &[name])?.remove(name);
        value.ok_or_else(|| OrderError::invalid(format!("{name} is missing")))
    }

    /// Checks that the body is empty, or an object without fields.
    ///
    /// # Errors
    /// The body is something else.
    pub(super) fn no_fields(&self) -> Result<(), OrderError> {
        match self.body.trim_ascii() {
            [] => Ok(()),
            body => parse_fields(body, &[]).map(drop),
        }
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, OrderError> {
    String::from_utf8(bytes).map_err(|_| OrderError::invalid("request target is not UTF-8 text"))
}

/// Decodes percent signs (RFC 3986 §2.1). A percent sign without two hexadecimal digits stays.
fn percent_decode(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// Checks access and returns the client's address.
pub(super) fn admit(
    context: &ControlContext,
    request: &Request,
    path: &str,
    kind: AccessKind,
) -> Result<PeerAddr, ApiReply> {
    let ends = endpoints(request)?;
    let owner = || ends.owner();
    let caller = caller(request, ends, &owner);
    context.access.check(&caller, path, kind)?;
    Ok(ends.client)
}

/// Denies access to pages of other sites.
pub(super) fn admit_site(
    context: &ControlContext,
    request: &Request,
    path: &str,
) -> Result<(), ApiReply> {
    let ends = endpoints(request)?;
    let owner = || ends.owner();
    let caller = caller(request, ends, &owner);
    Ok(context.access.check_site(&caller, path)?)
}

fn endpoints(request: &Request) -> Result<Endpoints, ApiReply> {
    let ends = request.extensions().get().copied();
    ends.ok_or_else(|| ApiReply::failure(StatusCode::INTERNAL_SERVER_ERROR, "no peer"))
}

fn caller<'a>(
    request: &'a Request,
    ends: Endpoints,
    owner: &'a dyn Fn() -> io::Result<SocketOwner>,
) -> Caller<'a> {
    let field = |name: HeaderName| request.headers().get(name).map(|value| value.as_bytes());
    // In absolute form, the authority replaces Host (RFC 9112 §3.2.2).
    let authority = request.uri().authority().map(|at| at.as_str().as_bytes());
    Caller {
        authorization: field(header::AUTHORIZATION),
        origin: field(header::ORIGIN),
        fetch_site: field(HeaderName::from_static("sec-fetch-site")),
        host: authority.or_else(|| field(header::HOST)),
        ..Caller::at(ends.client.ip(), owner)
    }
}

/// Reads the whole body. If it is too long or too slow, the reply closes the connection, because
/// the rest of the body was not read.
pub(super) async fn body(request: Request, wait: Duration) -> Result<Bytes, ApiReply> {
    let too_long = || {
        let sentence = format!("request body is longer than {MAX_ORDER_BODY} bytes");
        ApiReply::failure(StatusCode::PAYLOAD_TOO_LARGE, &sentence).with_close()
    };
    // A body that announces too great a length is refused before it is sent.
    if request.body().size_hint().lower() > MAX_ORDER_BODY as u64 {
        return Err(too_long());
    }
    match timeout(wait, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(err)) if err.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_long()),
        Ok(Err(_)) => {
            let sentence = "request body is malformed or cut off";
            Err(ApiReply::failure(StatusCode::BAD_REQUEST, sentence).with_close())
        }
        Err(_) => {
            let sentence = "request body did not come in time";
            Err(ApiReply::failure(StatusCode::REQUEST_TIMEOUT, sentence).with_close())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_decoded_once() {
        let cases: [(&str, &[u8]); 6] = [
            ("S2", b"S2"),
            ("a%2Fb%3b", b"a/b;"),
            ("%2525", b"%25"),
            ("%", b"%"),
            ("%f", b"%f"),
            ("%FF+%zz", b"\xff+%zz"),
        ];
        for (text, bytes) in cases {
            assert_eq!(percent_decode(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_query_has_known_fields_once() {
        let fields = |query| RequestParts::new("/plan", query, b"").fields(["a", "b"]);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(fields("").unwrap(), [None, None]);
        assert_eq!(fields("b=%31&&a=x=y").unwrap(), [some("x=y"), some("1")]);
        assert_eq!(fields("a").unwrap(), [some(""), None]);
        for (query, part) in [
            ("a=1&a=1", "a is there twice"),
            ("c=1", "'c' is not in the query of this path: a, b"),
            ("%00=1", "'\\u0000' is not in"),
            ("a=%ff", "not UTF-8"),
        ] {
            let refusal = fields(query).unwrap_err();
            assert!(refusal.sentence.contains(part), "{refusal:?}");
        }
    }
}
