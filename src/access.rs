//! Who may command: the one rule for both ports. A sender is judged by its address, by the user whose socket
//! it is, and by what its request shows of itself; a right token allows everything.
//!
//! It opens no socket and reads no header: each port collects what it saw into an [`Asker`]. A local address
//! alone is not enough. A browser on this machine is local too, whatever page it shows, so requests of other
//! sites' pages and those through a rebound DNS name need the token. A web server in front is local too,
//! whoever its client is, so on loopback a change needs a socket of our own user or of root.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::wire::socket_owner::{self, ROOT, SocketOwner};

mod cross_site;
mod reverse_proxy;
mod throttle;
mod token;
mod token_log;

pub use cross_site::{BadHostName, HostName};
use reverse_proxy::ReverseProxyWatch;
use throttle::{TokenThrottle, TokenVerdict};
use token::bearer;
pub use token::{BadToken, Token};
use token_log::WrongTokenLog;

/// What a command does to the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessKind {
    /// It only looks.
    Read,
    /// It changes something.
    Write,
}

/// What the sender of a command shows of itself.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
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
    /// Finds out whose the sender's socket is. It is called only for a change from a loopback address.
    pub owner: &'a dyn Fn() -> io::Result<SocketOwner>,
}

impl fmt::Debug for Caller<'_> {
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

impl<'a> Caller<'a> {
    /// A sender of whom nothing but the address and the owner of its socket is known.
    #[must_use]
    pub fn at(addr: IpAddr, owner: &'a dyn Fn() -> io::Result<SocketOwner>) -> Self {
        Self {
            addr,
            forwarded: false,
            authorization: None,
            origin: None,
            fetch_site: None,
            host: None,
            owner,
        }
    }
}

/// Who may command on one port.
#[derive(Debug, Clone, Default)]
pub struct AccessPolicy {
    /// The secret that allows everything (`--control-token`).
    pub token: Option<Token>,
    /// Whether addresses do not matter: the data port with `--data-port-admin any`.
    pub anyone: bool,
    /// An address that counts as local: the gateway of our container's bridge, behind which is the host
    /// (`--trust-gateway`).
    pub gateway: Option<IpAddr>,
    /// Names other than localhost under which the port may be addressed (`--control-host`).
    pub hosts: Arc<[HostName]>,
    /// What is told of wrong tokens; clones of a value share this and what follows.
    pub alarm: Arc<WrongTokenLog>,
    /// How often a wrong token may be shown.
    pub throttle: Arc<TokenThrottle>,
    /// The watch for a web server in front.
    pub front: Arc<ReverseProxyWatch>,
}

/// Why someone may not: the sentence, without the leading `<Error> `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct AccessDenied {
    /// Its HTTP status: 403, or 429 for too many wrong tokens.
    pub status: u16,
    sentence: String,
}

impl AccessDenied {
    fn forbidden(sentence: String) -> Self {
        Self {
            status: 403,
            sentence,
        }
    }

    fn too_many(addr: IpAddr) -> Self {
        let seconds = throttle::RETRY_AFTER.as_secs();
        Self {
            status: 429,
            sentence: format!(
                "too many wrong tokens from {}; wait {seconds} s",
                addr.to_canonical()
            ),
        }
    }

    /// After how many seconds it may be tried again, for `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        (self.status == 429).then_some(throttle::RETRY_AFTER.as_secs())
    }
}

impl AccessPolicy {
    /// Decides whether `asker` may use `path`, which has this `effect`.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check(
        &self,
        asker: &Caller<'_>,
        path: &str,
        effect: AccessKind,
    ) -> Result<(), AccessDenied> {
        let denial = if !self.anyone && !self.is_local(asker) {
            Some(self.deny_remote(asker, path))
        } else if let Some(denial) = self.cross_site_denial(asker, path) {
            Some(denial)
        } else if effect == AccessKind::Write && !self.anyone {
            self.other_user_reason(asker, path)
        } else {
            None
        };
        let denied = self.unless_token(asker, denial);
        if denied.is_ok() && effect == AccessKind::Write && asker.authorization.is_none() {
            self.front.record_order(asker.addr);
        }
        denied
    }

    /// Decides whether `asker` may use `path`, which is for all but pages of other sites.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check_site(&self, asker: &Caller<'_>, path: &str) -> Result<(), AccessDenied> {
        self.unless_token(asker, self.cross_site_denial(asker, path))
    }

    /// Lets the right token pass; a wrong one is counted if anything depends on it.
    fn unless_token(
        &self,
        asker: &Caller<'_>,
        denial: Option<AccessDenied>,
    ) -> Result<(), AccessDenied> {
        let Some(denial) = denial else { return Ok(()) };
        let (Some(own), Some(shown)) = (&self.token, asker.authorization.and_then(bearer)) else {
            return Err(denial);
        };
        match self.token_verdict(asker.addr, own.is(shown)) {
            TokenVerdict::Right => Ok(()),
            TokenVerdict::Wrong => Err(denial),
            TokenVerdict::TooMany => Err(AccessDenied::too_many(asker.addr)),
        }
    }

    fn token_verdict(&self, addr: IpAddr, is_right: bool) -> TokenVerdict {
        let verdict = self.throttle.check(addr, is_right);
        if verdict == TokenVerdict::Wrong {
            self.alarm.record(addr);
        }
        verdict
    }

    fn is_local(&self, asker: &Caller<'_>) -> bool {
        let addr = asker.addr.to_canonical();
        let near = addr.is_loopback() || self.gateway == Some(addr);
        near && !asker.forwarded
    }

    /// Decides whether `token`, which somebody at `addr` shows, is the right one.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check_token(&self, addr: IpAddr, token: &Token) -> Result<(), AccessDenied> {
        let Some(own) = &self.token else {
            let sentence = "no token is set; set --control-token";
            return Err(AccessDenied::forbidden(sentence.into()));
        };
        match self.token_verdict(addr, own == token) {
            TokenVerdict::Right => Ok(()),
            TokenVerdict::Wrong => Err(AccessDenied::forbidden("the token is wrong".into())),
            TokenVerdict::TooMany => Err(AccessDenied::too_many(addr)),
        }
    }

    /// Watches a request that commands nothing: see [`Front`].
    pub fn record_front_passage<'h>(&self, addr: IpAddr, host: impl FnOnce() -> Option<&'h [u8]>) {
        self.front.record_foreign_host(addr, host, &self.hosts);
    }

    fn cross_site_denial(&self, asker: &Caller<'_>, path: &str) -> Option<AccessDenied> {
        let reason = cross_site::cross_site_reason(asker, &self.hosts)?;
        self.record_front_passage(asker.addr, || asker.host);
        Some(AccessDenied::forbidden(format!(
            "{path} is not for web pages of other sites without a bearer token: {reason}"
        )))
    }

    fn deny_remote(&self, asker: &Caller<'_>, path: &str) -> AccessDenied {
        let addr = asker.addr.to_canonical();
        let role = match asker.forwarded {
            true => " and the request was forwarded",
            false => "",
        };
        let shown = asker.authorization.and_then(bearer).is_some();
        AccessDenied::forbidden(match (&self.token, shown) {
            (None, _) => {
                format!("{path} is for local peers, you are {addr}{role}; set --control-token")
            }
            (Some(_), false) => format!(
                "{path} is for local peers or a bearer token, you are {addr}{role} without one"
            ),
            (Some(_), true) => format!("{path} needs a bearer token, and yours is wrong"),
        })
    }

    /// On loopback, a change is for our own user and root. Whose socket a gateway passes on, nobody here can
    /// tell.
    fn other_user_reason(&self, asker: &Caller<'_>, path: &str) -> Option<AccessDenied> {
        if !asker.addr.to_canonical().is_loopback() {
            return None;
        }
        let own = socket_owner::own_user();
        let whose = match (asker.owner)() {
            Ok(SocketOwner::User(user)) if user == own || user == ROOT => return None,
            Ok(SocketOwner::User(user)) => format!("belongs to {}", socket_owner::described(user)),
            Ok(SocketOwner::Gone) => "was closed before its owner could be looked up".to_owned(),
            Err(err) => format!("has an owner that the system does not tell: {err}"),
        };
        let allowed = match own {
            ROOT => "root".to_owned(),
            own => format!("{} and root", socket_owner::described(own)),
        };
        let mend = match (&self.token, asker.authorization.and_then(bearer)) {
            (None, _) => "set --control-token",
            (Some(_), None) => "show the token",
            (Some(_), Some(_)) => "the token is wrong",
        };
        Some(AccessDenied::forbidden(format!(
            "{path} is for {allowed} on this machine, and the connection {whose}; {mend}"
        )))
    }
}

#[cfg(test)]
mod tests;
