//! Requests of a load: method, path, header fields, body and time limit, and the bytes made from
//! them.
//!
//! Every request has the same bytes, except for its ID. A field that the user sets replaces the
//! field of that name that loadgen would send. Pure.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::outcome::Expected;

/// Time from a request (connecting included) to the last byte of its reply, unless `--timeout` is
/// given.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Fields that follow from the body, so that they cannot be set.
const FRAMING_FIELDS: [&str; 2] = ["content-length", "transfer-encoding"];

/// Methods that expect a body: without one they have a length of 0 (RFC 9110 §8.6).
const METHODS_WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// Method of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Method(String);

impl Method {
    /// The default method.
    pub(crate) fn get() -> Self {
        Self("GET".into())
    }

    fn is_head(&self) -> bool {
        self.0 == "HEAD"
    }

    fn is_get(&self) -> bool {
        self.0 == "GET"
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Method {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !is_token(text) {
            return Err("a method is a word of letters, for example POST");
        }
        if text == "CONNECT" {
            return Err("CONNECT opens a tunnel, and loadgen sends requests only");
        }
        Ok(Self(text.to_owned()))
    }
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderField {
    name: String,
    value: String,
}

impl HeaderField {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Returns `true` for a Connection field with the option `close`.
    fn closes(&self) -> bool {
        let mut options = self.value.split(',');
        self.is("Connection") && options.any(|one| one.trim().eq_ignore_ascii_case("close"))
    }
}

impl FromStr for HeaderField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = text.split_once(':').filter(|(name, _)| is_token(name));
        let (name, value) = pair.ok_or("a header field is 'Name: value'")?;
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err("the value of a header field has no control characters".into());
        }
        if FRAMING_FIELDS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("loadgen sets {name} itself, from the body"));
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.trim().to_owned(),
        })
    }
}

/// Returns `true` for a token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// A request as the flags describe it.
#[derive(Debug, Clone)]
pub(crate) struct RequestSpec {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: Vec<HeaderField>,
    pub(crate) body: Option<String>,
    /// Time from the request to the last byte of its reply.
    pub(crate) timeout: Duration,
}

impl RequestSpec {
    /// A GET of `path`, without fields of the user.
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: Method::get(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Expected answer: only a GET of `/home` is answered with a greeting.
    pub(crate) fn expected(&self) -> Expected {
        match self.method.is_get() {
            true => Expected::for_path(&self.path),
            false => Expected::Success,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|field| field.is(name))
    }
}

/// Bytes and expectations that all requests of a load have in common.
#[derive(Debug)]
pub(crate) struct RequestTemplate {
    pub(crate) addr: SocketAddr,
    pub(crate) expected: Expected,
    pub(crate) timeout: Duration,
    /// The reply has no body, whatever its fields say.
    pub(crate) is_head: bool,
    /// The request announces that its connection carries no other.
    pub(crate) closes: bool,
    /// Bytes before the request ID.
    head: String,
    /// The user sets X-Request-ID, so no ID is written.
    has_id: bool,
    /// Bytes after the request ID.
    tail: String,
}

impl RequestTemplate {
    /// Requests for `spec`, sent to `addr`, with `authority` in the Host field.
    pub(crate) fn new(
        addr: SocketAddr,
        authority: &str,
        spec: &RequestSpec,
        expected: Expected,
    ) -> Self {
        let RequestSpec { method, path, .. } = spec;
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !spec.has("Host") {
            head += &format!("Host: {authority}\r\n");
        }
        for HeaderField { name, value } in &spec.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = spec.body.as_deref().unwrap_or_default();
        if spec.body.is_some() || METHODS_WITH_BODY.contains(&method.0.as_str()) {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let has_id = spec.has("X-Request-ID");
        let tail = if has_id {
            format!("\r\n{body}")
        } else {
            head += "X-Request-ID: ";
            format!("\r\n\r\n{body}")
        };
        Self {
            addr,
            expected,
            timeout: spec.timeout,
            is_head: method.is_head(),
            closes: spec.headers.iter().any(HeaderField::closes),
            head,
            has_id,
            tail,
        }
    }

    /// Appends the request with this ID to `bytes`.
    pub(crate) fn write_to(&self, id: u64, bytes: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = match self.has_id {
            true => write!(bytes, "{}{}", self.head, self.tail),
            false => write!(bytes, "{}{id}{}", self.head, self.tail),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(spec: &RequestSpec) -> String {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let template = RequestTemplate::new(addr, "a:1", spec, spec.expected());
        let mut bytes = Vec::new();
        template.write_to(123_456, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_plain_request_has_a_host_and_an_id() {
        let spec = RequestSpec::get("/home?x=1");
        let text = "GET /home?x=1 HTTP/1.1\r\nHost: a:1\r\nX-Request-ID: 123456\r\n\r\n";
        assert_eq!(bytes(&spec), text);
        assert_eq!(spec.expected(), Expected::Greeting);
    }

    #[test]
    fn method_fields_and_body_are_sent() {
        let spec = RequestSpec {
            method: "PUT".parse().unwrap(),
            headers: vec!["Accept:a/b ".parse().unwrap(), "X:".parse().unwrap()],
            body: Some("héllo".into()),
            ..RequestSpec::get("/home")
        };
        let text = "PUT /home HTTP/1.1\r\nHost: a:1\r\nAccept: a/b\r\nX: \r\n\
                    Content-Length: 6\r\nX-Request-ID: 123456\r\n\r\nhéllo";
        assert_eq!(bytes(&spec), text);
        assert_eq!(spec.expected(), Expected::Success);
        let post = RequestSpec {
            method: "POST".parse().unwrap(),
            ..RequestSpec::get("/")
        };
        assert!(bytes(&post).contains("\r\nContent-Length: 0\r\n"));
    }

    #[test]
    fn fields_of_the_user_replace_those_of_loadgen() {
        let spec = RequestSpec {
            headers: vec![
                "host: b".parse().unwrap(),
                "x-request-id: 7".parse().unwrap(),
                "Connection: x, Close".parse().unwrap(),
            ],
            body: Some("body".into()),
            ..RequestSpec::get("/")
        };
        let text = "GET / HTTP/1.1\r\nhost: b\r\nx-request-id: 7\r\nConnection: x, Close\r\n\
                    Content-Length: 4\r\n\r\nbody";
        assert_eq!(bytes(&spec), text);
        assert!(spec.headers[2].closes() && !spec.headers[0].closes());
    }

    #[test]
    fn malformed_fields_and_methods_are_refused() {
        for field in [
            "",
            "Accept",
            ": x",
            "A b: x",
            "A: x\r\nB: y",
            "content-LENGTH: 3",
            "Transfer-Encoding: chunked",
        ] {
            assert!(field.parse::<HeaderField>().is_err(), "{field}");
        }
        for method in ["", "GET /", "G\r\n", "CONNECT"] {
            assert!(method.parse::<Method>().is_err(), "{method}");
        }
    }
}
