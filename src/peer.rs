//! Who may command: the one rule for both ports. A sender is judged by its address and by what its
//! request shows of itself; a right token allows everything.
//!
//! It opens no socket and reads no header: each port collects what it saw into an [`Asker`]. A local
//! address alone is not enough for a change, because a browser on this machine is local too, whatever
//! page it shows: cross-site requests, and those through a rebound DNS name, need the token.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use subtle::ConstantTimeEq;

mod alarm;

use alarm::Alarm;

/// The port of a `Host` or an `http` origin that names none (RFC 9110 §4.2.1).
const HTTP_PORT: u16 = 80;

/// What a command does to the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It only looks.
    Reads,
    /// It changes something.
    Changes,
}

/// What the sender of a command shows of itself.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Where the connection comes from.
    pub addr: IpAddr,
    /// Whether any of `Forwarded`, `X-Forwarded-For`, `X-Real-IP` and `Via` is present: then the address
    /// is that of a proxy. Only the data port sets it.
    pub forwarded: bool,
    /// The value of `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The value of `Origin`.
    pub origin: Option<&'a [u8]>,
    /// The value of `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a [u8]>,
    /// The value of `Host`. Without one (HTTP/1.0, the text protocol) the sender is no browser.
    pub host: Option<&'a [u8]>,
}

impl fmt::Debug for Asker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<&[u8]>| value.map(|bytes| bytes.escape_ascii().to_string());
        f.debug_struct("Asker")
            .field("addr", &self.addr)
            .field("forwarded", &self.forwarded)
            .field("authorization", &self.authorization.map(|_| "***"))
            .field("origin", &text(self.origin))
            .field("fetch_site", &text(self.fetch_site))
            .field("host", &text(self.host))
            .finish()
    }
}

impl Asker<'_> {
    /// A sender of whom nothing but the address is known.
    #[must_use]
    pub fn at(addr: IpAddr) -> Self {
        Self {
            addr,
            forwarded: false,
            authorization: None,
            origin: None,
            fetch_site: None,
            host: None,
        }
    }

    /// Why this may be a foreign page that uses a browser here; `None` if it cannot be.
    fn foreign_page(&self) -> Option<&'static str> {
        let host = self.host.map(authority);
        if host == Some(None) {
            return Some("Host is neither localhost nor an IP address");
        }
        let page = self.origin.map(origin);
        if page.is_some_and(|page| page.is_none() || Some(page) != host) {
            return Some("Origin is not this host and port");
        }
        let site = self.fetch_site?;
        let own = site == b"same-origin" || site == b"none";
        (!own).then_some("Sec-Fetch-Site is neither same-origin nor none")
    }
}

/// A shared secret. `Debug` masks it, and comparing takes the same time for every wrong one of its length.
#[derive(Clone)]
pub struct Token(Box<str>);

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is one or more visible ASCII characters without ';'")]
pub struct BadToken;

impl FromStr for Token {
    type Err = BadToken;

    /// Takes what both protocols can carry: a header value holds no control character, and the text
    /// protocol splits at blanks and at `;`.
    fn from_str(text: &str) -> Result<Self, BadToken> {
        let good = |b: u8| b.is_ascii_graphic() && b != b';';
        if text.is_empty() || !text.bytes().all(good) {
            return Err(BadToken);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

impl Eq for Token {}

impl Token {
    /// The secret itself, to be sent and never to be shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

/// Who may command on one port.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The secret that allows everything (`--control-token`).
    pub token: Option<Token>,
    /// Whether addresses do not matter: the data port with `--data-port-admin any`.
    pub anyone: bool,
    /// An address that counts as local: the gateway of our container's bridge, behind which is the host
    /// (`--trust-gateway`).
    pub gateway: Option<IpAddr>,
    /// What is told of wrong tokens; clones of a value share it.
    pub alarm: Arc<Alarm>,
}

/// Why someone may not: the sentence, without the leading `<Error> `. Its HTTP status is 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denial(String);

impl Access {
    /// Decides whether `asker` may use `path`, which has this `effect`.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(&self, asker: &Asker<'_>, path: &str, effect: Effect) -> Result<(), Denial> {
        let shown = asker.authorization.and_then(bearer);
        let right = |token: &Token| shown.is_some_and(|shown| token.is(shown));
        if self.token.as_ref().is_some_and(right) {
            return Ok(());
        }
        let denial = if !self.anyone && !self.is_local(asker) {
            self.stranger(asker, path, shown.is_some())
        } else {
            match asker.foreign_page() {
                Some(reason) if effect == Effect::Changes => Denial(format!(
                    "{path} is not for web pages of other sites without a bearer token: {reason}"
                )),
                _ => return Ok(()),
            }
        };
        if self.token.is_some() && shown.is_some() {
            self.alarm.ring(asker.addr);
        }
        Err(denial)
    }

    fn is_local(&self, asker: &Asker<'_>) -> bool {
        let addr = asker.addr.to_canonical();
        let near = addr.is_loopback() || self.gateway == Some(addr);
        near && !asker.forwarded
    }

    /// Decides whether `token`, which somebody at `addr` shows, is the right one.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check_token(&self, addr: IpAddr, token: &Token) -> Result<(), Denial> {
        match &self.token {
            Some(own) if own == token => Ok(()),
            Some(_) => {
                self.alarm.ring(addr);
                Err(Denial("the token is wrong".into()))
            }
            None => Err(Denial("no token is set; set --control-token".into())),
        }
    }

    fn stranger(&self, asker: &Asker<'_>, path: &str, shown: bool) -> Denial {
        let addr = asker.addr.to_canonical();
        let role = match asker.forwarded {
            true => " and the request was forwarded",
            false => "",
        };
        Denial(match (&self.token, shown) {
            (None, _) => {
                format!("{path} is for local peers, you are {addr}{role}; set --control-token")
            }
            (Some(_), false) => format!(
                "{path} is for local peers or a bearer token, you are {addr}{role} without one"
            ),
            (Some(_), true) => format!("{path} needs a bearer token, and yours is wrong"),
        })
    }
}

/// The token of an `Authorization: Bearer` value (RFC 6750 §2.1); schemes ignore case (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at(value.iter().position(|b| *b == b' ')?);
    let token = rest.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
}

/// The host of a URL that no DNS server can point elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    Localhost,
    Ip(IpAddr),
}

/// Reads an origin of the `http` scheme, the only one this program speaks. `null` is none.
fn origin(value: &[u8]) -> Option<(Host, u16)> {
    let (scheme, rest) = value.split_at_checked(b"http://".len())?;
    scheme.eq_ignore_ascii_case(b"http://").then_some(())?;
    authority(rest)
}

/// Reads `localhost` or an IP address, with an optional port. `localhost.` is refused: with its dot it
/// passes by /etc/hosts, and then a DNS server has the say.
fn authority(value: &[u8]) -> Option<(Host, u16)> {
    let text = std::str::from_utf8(value).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (v6, rest) = rest.split_once(']')?;
        let ip = v6.parse::<Ipv6Addr>().ok()?;
        return Some((Host::Ip(ip.into()), port(rest)?));
    }
    let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
    let host = match name.eq_ignore_ascii_case("localhost") {
        true => Host::Localhost,
        false => Host::Ip(name.parse::<Ipv4Addr>().ok()?.into()),
    };
    Some((host, port(rest)?))
}

/// Reads the port from an empty text, `:` or `:digits`.
fn port(text: &str) -> Option<u16> {
    if text.is_empty() {
        return Some(HTTP_PORT);
    }
    let digits = text.strip_prefix(':')?;
    if digits.is_empty() {
        return Some(HTTP_PORT);
    }
    // A leading `+` is a number to Rust and none to a URL.
    let all = digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests;
