//! The key of a request, taken from the first source of `--key` that the request has.

mod address_prefix;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rand::rngs::StdRng;

use self::address_prefix::AddressPrefix;
use super::generated_id::{GeneratedId, RequestIdKind};
use super::rewrite::ConnectionTokens;
use crate::ring::Key;
use crate::wire::head::{self, RequestHead};

/// Sources of keys, in order. A request always has the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRule {
    sources: Vec<KeySource>,
    /// Kind of the IDs that are generated.
    ids: RequestIdKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum KeySource {
    /// Value of this header field (lower case).
    Header(String),
    /// Value of this query parameter.
    Query(String),
    /// Value of this cookie.
    Cookie(String),
    /// Path of the target.
    Path,
    /// Address of the client.
    Address,
    /// Network of the client's address.
    Network(AddressPrefix),
    /// Request ID generated here and sent on as X-Request-ID.
    Random,
}

/// Reason why a text is not a key rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyRuleError {
    /// An entry is not a known source.
    #[error(
        "unknown key source '{0}': use header:NAME, query:NAME, cookie:NAME, path, source, source/BITS or random"
    )]
    Unknown(String),
    /// The last source does not always give a key, or another one does.
    #[error("the last source must be path, source, source/BITS or random, and no earlier one may")]
    End,
}

impl FromStr for KeyRule {
    type Err = ParseKeyRuleError;

    fn from_str(text: &str) -> Result<Self, ParseKeyRuleError> {
        let sources: Vec<KeySource> = text.split(',').map(source).collect::<Result<_, _>>()?;
        let always = |source: &KeySource| {
            !matches!(
                source,
                KeySource::Header(_) | KeySource::Query(_) | KeySource::Cookie(_)
            )
        };
        match sources.iter().position(always) {
            Some(at) if at + 1 == sources.len() => Ok(Self {
                sources,
                ids: RequestIdKind::default(),
            }),
            _ => Err(ParseKeyRuleError::End),
        }
    }
}

fn source(text: &str) -> Result<KeySource, ParseKeyRuleError> {
    let unknown = || ParseKeyRuleError::Unknown(text.to_owned());
    let is_token = |name: &str| !name.is_empty() && name.bytes().all(head::is_token);
    match text.trim().split_once(':') {
        Some(("header", name)) if is_token(name) => {
            Ok(KeySource::Header(name.to_ascii_lowercase()))
        }
        Some(("query", name)) if !name.is_empty() => Ok(KeySource::Query(name.to_owned())),
        Some(("cookie", name)) if is_token(name) => Ok(KeySource::Cookie(name.to_owned())),
        None if text.trim() == "path" => Ok(KeySource::Path),
        None if text.trim() == "source" => Ok(KeySource::Address),
        None if text.trim() == "random" => Ok(KeySource::Random),
        None => {
            let bits = text.trim().strip_prefix("source/").ok_or_else(unknown)?;
            let prefix = bits.parse().map_err(|()| unknown())?;
            Ok(KeySource::Network(prefix))
        }
        Some(_) => Err(unknown()),
    }
}

impl fmt::Display for KeyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, source) in self.sources.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match source {
                KeySource::Header(name) => write!(f, "{comma}header:{name}")?,
                KeySource::Query(name) => write!(f, "{comma}query:{name}")?,
                KeySource::Cookie(name) => write!(f, "{comma}cookie:{name}")?,
                KeySource::Path => write!(f, "{comma}path")?,
                KeySource::Address => write!(f, "{comma}source")?,
                KeySource::Network(prefix) => write!(f, "{comma}source/{prefix}")?,
                KeySource::Random => write!(f, "{comma}random")?,
            }
        }
        Ok(())
    }
}

/// Source of all clients of Unix sockets, which have no address.
const UNIX_SOURCE: &str = "unix";

/// Returns the key of all connections from an address, which is that of `--key source`. Clients of
/// Unix sockets have a common one.
pub(super) fn source_key(client: Option<IpAddr>) -> Key {
    match client {
        Some(ip) => Key::from_bytes(ip.to_canonical().to_string().as_bytes()),
        None => Key::from_bytes(UNIX_SOURCE.as_bytes()),
    }
}

/// Value that gives a request its key.
enum FoundKey<'h> {
    /// Bytes that the client sent.
    Sent(&'h [u8]),
    /// Bytes that the client sent and that may be its credential, so that no log may have them.
    Secret(&'h [u8]),
    /// Its address.
    Address,
    /// The network of its address.
    Network(AddressPrefix),
    /// None: an ID is generated.
    None,
}

/// Key of a request, and the request ID if one was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestKey {
    pub(super) key: Key,
    pub(super) generated_id: Option<GeneratedId>,
}

impl KeyRule {
    /// Returns the key of a request from `client`.
    pub(super) fn key(
        &self,
        head: &RequestHead<'_, '_>,
        client: Option<IpAddr>,
        random: &mut StdRng,
    ) -> RequestKey {
        let hashed = |key| RequestKey {
            key,
            generated_id: None,
        };
        let found = |bytes: &[u8]| hashed(Key::from_bytes(bytes));
        match self.find(head) {
            FoundKey::Sent(bytes) | FoundKey::Secret(bytes) => found(bytes),
            FoundKey::Address => hashed(source_key(client)),
            FoundKey::Network(prefix) => match client {
                Some(ip) => found(prefix.network(ip).as_bytes()),
                None => hashed(source_key(None)),
            },
            FoundKey::None => {
                let id = GeneratedId::draw(self.ids, random);
                RequestKey {
                    key: Key::from_bytes(id.as_bytes()),
                    generated_id: Some(id),
                }
            }
        }
    }

    /// Sets the kind of the IDs that are generated.
    #[must_use]
    pub fn with_ids(self, ids: RequestIdKind) -> Self {
        Self { ids, ..self }
    }

    /// Returns the value that gave the key, if the client sent one and it is no secret.
    pub(super) fn sent_id<'h>(&self, head: &RequestHead<'h, '_>) -> Option<&'h [u8]> {
        match self.find(head) {
            FoundKey::Sent(bytes) => Some(bytes),
            FoundKey::Secret(_) | FoundKey::Address | FoundKey::Network(_) | FoundKey::None => None,
        }
    }

    /// Returns the value of the first source that the request has.
    fn find<'h>(&self, head: &RequestHead<'h, '_>) -> FoundKey<'h> {
        for source in &self.sources {
            let bytes = match source {
                KeySource::Header(name) => head.fields.get(name),
                KeySource::Query(name) => parameter(head.target.query.unwrap_or_default(), name),
                KeySource::Cookie(name) => cookie(head, name),
                KeySource::Path => Some(head.target.path),
                KeySource::Address => return FoundKey::Address,
                KeySource::Network(prefix) => return FoundKey::Network(*prefix),
                KeySource::Random => return FoundKey::None,
            };
            if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
                return match source {
                    KeySource::Cookie(_) => FoundKey::Secret(bytes),
                    KeySource::Header(name) if SECRET_FIELDS.contains(&name.as_str()) => {
                        FoundKey::Secret(bytes)
                    }
                    _ => FoundKey::Sent(bytes),
                };
            }
        }
        // Not reached: the last source always gives a key.
        FoundKey::Sent(b"")
    }

    /// Returns `true` if `Connection` nominates a header field of this rule that the request has.
    /// The field would be removed (RFC 9110 §7.6.1), and the replica would see another key than the
    /// one that chose it.
    pub(super) fn is_nominated(&self, head: &RequestHead<'_, '_>) -> bool {
        let is_nominated = |name: &str| {
            ConnectionTokens::from_fields(&head.fields).has(name) && head.fields.get(name).is_some()
        };
        self.sources.iter().any(|source| match source {
            KeySource::Header(name) => is_nominated(name),
            KeySource::Cookie(_) => is_nominated(COOKIE),
            _ => false,
        })
    }
}

/// Field of the cookies, in lower case.
const COOKIE: &str = "cookie";
/// Fields whose values are credentials (RFC 9110 §11.6.2, §11.7.2; RFC 6265 §8.3), in lower case.
const SECRET_FIELDS: [&str; 3] = [COOKIE, "authorization", "proxy-authorization"];

/// Returns the value of the first cookie called `name`, as received, quotes included (RFC 6265
/// §4.2.1). Names of cookies are case-sensitive.
fn cookie<'h>(head: &RequestHead<'h, '_>, name: &str) -> Option<&'h [u8]> {
    let fields = head.fields.named(COOKIE);
    let mut pairs = fields.flat_map(|field| field.value.split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let pair = pair.trim_ascii();
        pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
    })
}

/// Returns the value of the first parameter called `name`, as received.
fn parameter<'b>(query: &'b [u8], name: &str) -> Option<&'b [u8]> {
    let mut pairs = query.split(|byte| *byte == b'&');
    pairs.find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests;
