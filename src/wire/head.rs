//! Heads of HTTP/1.1 messages, parsed strictly (RFC 9112 §2–§5): a parser more lenient than the
//! next hop's lets requests be smuggled past it.
//!
//! Only this file and its `fields` name httparse. Two inputs that httparse accepts are refused
//! here: a line that ends in a bare LF, and two fields where one is allowed. Nothing is copied: a
//! head borrows from the bytes read.

mod error;
mod fields;

use std::mem::MaybeUninit;

use super::request_target::{self, RequestTarget};
pub use super::version::Version;
use super::version::is_other_version;
pub use error::{BadResponse, RequestError};
pub use fields::{Field, Fields, split_list};

/// Largest number of fields of a request; more are refused with 431.
pub const MAX_FIELDS: usize = 100;
/// Largest number of fields of a response.
pub const MAX_RESPONSE_FIELDS: usize = 256;

/// Memory for parsed fields, provided by the caller so that a head can borrow from it.
pub struct HeaderSlots<'b, const FIELDS: usize = MAX_FIELDS>(
    [MaybeUninit<httparse::Header<'b>>; FIELDS],
);

/// Memory for the fields of a response.
pub type ResponseHeaderSlots<'b> = HeaderSlots<'b, MAX_RESPONSE_FIELDS>;

impl<const FIELDS: usize> std::fmt::Debug for HeaderSlots<'_, FIELDS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeaderSlots")
    }
}

impl<const FIELDS: usize> Default for HeaderSlots<'_, FIELDS> {
    fn default() -> Self {
        Self([MaybeUninit::uninit(); FIELDS])
    }
}

/// Head of a request.
#[derive(Debug)]
pub struct RequestHead<'h, 'b> {
    /// Method as it was sent; methods are case-sensitive.
    pub method: &'b str,
    /// Request target.
    pub target: RequestTarget<'b>,
    /// HTTP version.
    pub version: Version,
    /// Header fields.
    pub fields: Fields<'h, 'b>,
    /// Length in bytes, from the first byte read to the end of the empty line.
    pub len: usize,
}

/// Head of a response.
#[derive(Debug)]
pub struct ResponseHead<'h, 'b> {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Reason phrase; may be empty.
    pub reason: &'b str,
    /// HTTP version.
    pub version: Version,
    /// Header fields.
    pub fields: Fields<'h, 'b>,
    /// Length in bytes.
    pub len: usize,
}

/// Returns `true` if an incomplete head may be complete with the bytes from `from` on: only a line
/// feed can end it. Parsing only then keeps a head that drips in from costing quadratic time.
#[must_use]
pub fn could_be_complete(bytes: &[u8], from: usize) -> bool {
    from == 0 || bytes[from..].contains(&b'\n')
}

/// Parses a request head from the start of `bytes`; `None` while it is incomplete.
///
/// # Errors
/// Refusal to send to the client. The connection cannot be used further.
pub fn request<'h, 'b>(
    bytes: &'b [u8],
    slots: &'h mut HeaderSlots<'b>,
) -> Result<Option<RequestHead<'h, 'b>>, RequestError> {
    let mut parsed = httparse::Request::new(&mut []);
    let outcome = httparse::ParserConfig::default()
        .parse_request_with_uninit_headers(&mut parsed, bytes, &mut slots.0)
        .map_err(|err| request_error(err, bytes))?;
    let httparse::Status::Complete(len) = outcome else {
        return Ok(None);
    };
    let (Some(method), Some(raw_target), Some(version)) =
        (parsed.method, parsed.path, parsed.version)
    else {
        return Err(RequestError::bad("request line is incomplete"));
    };
    let fields = Fields::new(&bytes[..len], parsed.headers);
    if has_bare_lf(&bytes[..len]) {
        return Err(RequestError::bad("a line ends without CR LF"));
    }
    let target = request_target::parse(method, raw_target.as_bytes())?;
    let version = if version == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    request_target::check_host(&fields, version)?;
    Ok(Some(RequestHead {
        method,
        target,
        version,
        fields,
        len,
    }))
}

/// Parses a response head from the start of `bytes`; `None` while it is incomplete.
///
/// # Errors
/// Reason why the response must not be forwarded.
pub fn response<'h, 'b>(
    bytes: &'b [u8],
    slots: &'h mut ResponseHeaderSlots<'b>,
) -> Result<Option<ResponseHead<'h, 'b>>, BadResponse> {
    // RFC 9112 §2.2 has servers skip empty lines, not clients.
    if matches!(bytes.first(), Some(b'\r' | b'\n')) {
        return Err(BadResponse("an empty line stands before it"));
    }
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, bytes, &mut slots.0)
        .map_err(|err| {
            BadResponse(match err {
                httparse::Error::TooManyHeaders => "its head has more than 256 fields",
                _ => "head is malformed",
            })
        })?;
    let httparse::Status::Complete(len) = outcome else {
        return Ok(None);
    };
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(BadResponse("status line is incomplete"));
    };
    if has_bare_lf(&bytes[..len]) {
        return Err(BadResponse("a line ends without CR LF"));
    }
    if status < 100 {
        return Err(BadResponse("status code is below 100"));
    }
    Ok(Some(ResponseHead {
        status,
        reason: parsed.reason.unwrap_or(""),
        version: if version == 0 {
            Version::Http10
        } else {
            Version::Http11
        },
        fields: Fields::new(&bytes[..len], parsed.headers),
        len,
    }))
}

fn request_error(err: httparse::Error, bytes: &[u8]) -> RequestError {
    match err {
        httparse::Error::TooManyHeaders => RequestError {
            status: 431,
            why: "more than 100 header fields",
        },
        httparse::Error::Version if is_other_version(bytes) => RequestError {
            status: 505,
            why: "only HTTP/1.0 and HTTP/1.1 are spoken here",
        },
        httparse::Error::Version | httparse::Error::NewLine => {
            RequestError::bad("request line is malformed")
        }
        httparse::Error::Token => RequestError::bad("method or target is malformed"),
        httparse::Error::HeaderName => RequestError::bad("a header field name is malformed"),
        httparse::Error::HeaderValue => RequestError::bad("a header field value is malformed"),
        httparse::Error::Status => RequestError::bad("not a request"),
    }
}

/// RFC 9112 §2.2 allows a recipient to accept a bare LF as a line end; a strict relay does not.
fn has_bare_lf(head: &[u8]) -> bool {
    head.first() == Some(&b'\n')
        || head
            .windows(2)
            .any(|pair| pair[1] == b'\n' && pair[0] != b'\r')
}

/// Returns `true` for a byte that a token may have (tchar, RFC 9110 §5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
