//! What a request says: who may have sent it, its body, the pieces of its path and the fields of its query.
//!
//! It decides who may (by the one rule of `peer.rs`) and nothing else. `+` is no blank here: it is part of
//! the expressions of rings, and only forms of pages write blanks that way.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderName, StatusCode, header};
use serde_json::Value;
use tokio::time::timeout;

use super::{ApiReply, Endpoints};
use crate::access::{AccessDenied, AccessKind, Caller};
use crate::control::ControlContext;
use crate::orders::{self, MAX_ORDER_BODY, OrderError};
use crate::wire::socket_owner::SocketOwner;

/// What of a request its route may ask for.
pub(super) struct RequestParts<'a> {
    path: &'a str,
    query: &'a str,
    body: &'a [u8],
}

impl<'a> RequestParts<'a> {
    pub(super) fn new(path: &'a str, query: &'a str, body: &'a [u8]) -> Self {
        Self { path, query, body }
    }

    /// The body as it came.
    pub(super) fn read_body(&self) -> &'a [u8] {
        self.body
    }

    /// The n-th piece of the path, from 0, without its percent signs.
    pub(super) fn path_segment(&self, n: usize) -> Vec<u8> {
        let piece = self.path.split('/').nth(n + 1);
        percent_decode(piece.unwrap_or_default())
    }

    /// The fields of the query, which are `names`, each at most once; `None` for one that is missing.
    ///
    /// # Errors
    /// Another field, one that is there twice, or bytes that are no text.
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
                    escape_control(&name)
                );
                return Err(OrderError::invalid(sentence));
            };
            if values[at].replace(utf8(percent_decode(value))?).is_some() {
                return Err(OrderError::invalid(format!("{name} is there twice")));
            }
        }
        Ok(values)
    }

    /// A field of the body, which is a JSON object.
    ///
    /// # Errors
    /// It is none, or has no such field.
    pub(super) fn value(&self, name: &str) -> Result<Value, OrderError> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(self.body) else {
            return Err(OrderError::invalid("request body is not a JSON object"));
        };
        let value = fields.remove(name);
        value.ok_or_else(|| OrderError::invalid(format!("{name} is missing")))
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, OrderError> {
    String::from_utf8(bytes).map_err(|_| OrderError::invalid("request target is not UTF-8 text"))
}

/// A sender's text without anything that moves a terminal.
fn escape_control(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => text.chars().flat_map(char::escape_debug).collect(),
        false => text.into(),
    }
}

/// A text without its percent signs (RFC 3986 §2.1). One that codes nothing stays.
fn percent_decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let coded = after.first_chunk().filter(|_| *first == b'%');
        match coded.and_then(hex) {
            Some(byte) => (bytes.push(byte), rest = &after[2..]),
            None => (bytes.push(*first), rest = after),
        };
    }
    bytes
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

/// Who sent the request, if they may.
pub(super) fn admit(
    context: &ControlContext,
    request: &Request,
    path: &str,
    effect: AccessKind,
) -> Result<SocketAddr, ApiReply> {
    let ends = endpoints(request)?;
    let owner = || ends.owner();
    let asker = caller(request, ends, &owner);
    let verdict = context.access.check(&asker, path, effect);
    verdict.map_err(|denial| denied_reply(&denial))?;
    Ok(ends.client)
}

/// Lets all pass but pages of other sites.
pub(super) fn admit_site(
    context: &ControlContext,
    request: &Request,
    path: &str,
) -> Result<(), ApiReply> {
    let ends = endpoints(request)?;
    let owner = || ends.owner();
    let asker = caller(request, ends, &owner);
    let verdict = context.access.check_site(&asker, path);
    verdict.map_err(|denial| denied_reply(&denial))
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
    // The authority of a request in absolute form stands for Host (RFC 9112 §3.2.2).
    let authority = request.uri().authority().map(|at| at.as_str().as_bytes());
    Caller {
        authorization: field(header::AUTHORIZATION),
        origin: field(header::ORIGIN),
        fetch_site: field(HeaderName::from_static("sec-fetch-site")),
        host: authority.or_else(|| field(header::HOST)),
        ..Caller::at(ends.client.ip(), owner)
    }
}

fn denied_reply(denial: &AccessDenied) -> ApiReply {
    ApiReply {
        retry_after: denial.retry_after(),
        ..ApiReply::new(denial.status, orders::failure(&denial.to_string()))
    }
}

/// The whole body, unless it is too long or too slow; then nothing can come behind it.
pub(super) async fn body(request: Request, wait: Duration) -> Result<Bytes, ApiReply> {
    let too_long = || {
        let sentence = format!("request body is longer than {MAX_ORDER_BODY} bytes");
        ApiReply::failure(StatusCode::PAYLOAD_TOO_LARGE, &sentence).with_close()
    };
    // One that announces its length need not be sent at all.
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
    fn percent_signs_are_undone_once() {
        let cases: [(&str, &[u8]); 6] = [
            ("S2", b"S2"),
            ("a%2Fb%3b", b"a/b;"),
            ("%2525", b"%25"),
            ("%", b"%"),
            ("%f", b"%f"),
            ("%FF+%zz", b"\xff+%zz"),
        ];
        for (coded, bytes) in cases {
            assert_eq!(percent_decode(coded), bytes, "{coded}");
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
            ("%00=1", "'\\0' is not in"),
            ("a=%ff", "not UTF-8"),
        ] {
            let refusal = fields(query).unwrap_err();
            assert!(refusal.sentence.contains(part), "{refusal:?}");
        }
    }
}
