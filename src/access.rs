//! Access rules for commands, the same for both ports. A sender is judged by its address, by the
//! user who owns its socket, and by its request's header fields; a right token allows everything.
//!
//! The module opens no socket and reads no header: each port passes what it saw as a [`Caller`]. A
//! local address alone is not enough, for two reasons:
//!
//! - A browser on this machine is local, whatever page it shows. Requests of other sites' pages,
//!   and those through a rebound DNS name, need the token.
//! - A web server in front is local, whatever its client is. On loopback, a change therefore needs
//!   a socket of our own user or of root.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::wire::socket_owner::{self, ROOT, SocketOwner};

mod caller;
mod cross_site;
mod reverse_proxy;
mod throttle;
mod token;
mod token_log;

pub use caller::Caller;
pub use cross_site::{BadHostName, HostName};
use reverse_proxy::ReverseProxyWatch;
use throttle::{TokenThrottle, TokenVerdict};
use token::bearer;
pub use token::{BadToken, Token};
use token_log::WrongTokenLog;

/// Address whose wrong tokens are counted with those over Unix sockets.
const UNIX_ADDR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Effect of a command on the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessKind {
    /// The command only reads.
    Read,
    /// The command changes the fleet.
    Write,
    /// The command does harm on purpose: only local senders may use it, and no token helps.
    LocalWrite,
}

/// Local clients that need the token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LocalTokenRule {
    /// No client.
    #[default]
    None,
    /// Clients of the TCP port. The mode of the Unix socket decides about its clients.
    Tcp,
    /// All local clients.
    All,
}

/// Access rules of one port.
#[derive(Debug, Clone, Default)]
pub struct AccessPolicy {
    /// Secret that allows everything (`--control-token`).
    pub token: Option<Token>,
    /// Local clients that need the token too (`--require-token`).
    pub local_token: LocalTokenRule,
    /// `true` if addresses do not matter: the data port with `--data-port-admin any`.
    pub anyone: bool,
    /// Address that counts as local: the gateway of our container's bridge, behind which the host
    /// is (`--trust-gateway`).
    pub gateway: Option<IpAddr>,
    /// Names other than localhost under which the port may be addressed (`--control-host`).
    pub hosts: Arc<[HostName]>,
    /// Log of wrong tokens; clones share it and the following fields.
    pub wrong_token_log: Arc<WrongTokenLog>,
    /// Limit on the rate of wrong tokens.
    pub throttle: Arc<TokenThrottle>,
    /// Detector of a web server in front.
    pub reverse_proxy: Arc<ReverseProxyWatch>,
}

/// Reason for a refusal: the sentence without the leading `<Error> `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct AccessDenied {
    /// HTTP status: 403, or 429 for too many wrong tokens.
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

    /// Returns the seconds for `Retry-After`, if a retry may succeed.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        (self.status == 429).then_some(throttle::RETRY_AFTER.as_secs())
    }
}

impl AccessPolicy {
    /// Decides whether `caller` may use `path`, which has this `kind`.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn check(
        &self,
        caller: &Caller<'_>,
        path: &str,
        kind: AccessKind,
    ) -> Result<(), AccessDenied> {
        if kind == AccessKind::LocalWrite {
            self.check_local(caller)?;
        }
        let denial = if !self.anyone && !self.is_local(caller) {
            Some(self.remote_denial(caller, path))
        } else if let Some(denial) = self.cross_site_denial(caller, path) {
            Some(denial)
        } else if kind != AccessKind::Read && !self.anyone {
            self.other_user_denial(caller, path)
        } else {
            None
        };
        let verdict = self.override_with_token(caller, denial);
        if verdict.is_ok() && kind != AccessKind::Read && caller.authorization.is_none() {
            caller
                .addr
                .iter()
                .for_each(|addr| self.reverse_proxy.record_order(*addr));
        }
        verdict
    }

    /// Decides whether `caller` is local, for a command that no token opens to others.
    ///
    /// # Errors
    /// The caller is remote.
    pub fn check_local(&self, caller: &Caller<'_>) -> Result<(), AccessDenied> {
        if self.is_near(caller) {
            return Ok(());
        }
        let addr = caller.name();
        let sentence = format!("this command is for local peers alone, you are {addr}");
        Err(AccessDenied::forbidden(sentence))
    }

    /// Decides whether `caller` may use `path`, which is open to all but pages of other sites.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn check_site(&self, caller: &Caller<'_>, path: &str) -> Result<(), AccessDenied> {
        self.override_with_token(caller, self.cross_site_denial(caller, path))
    }

    /// Overrides a denial if the sender shows the right token. A wrong token is counted only if the
    /// denial depends on it.
    fn override_with_token(
        &self,
        caller: &Caller<'_>,
        denial: Option<AccessDenied>,
    ) -> Result<(), AccessDenied> {
        let Some(denial) = denial else { return Ok(()) };
        let (Some(own), Some(shown)) = (&self.token, caller.authorization.and_then(bearer)) else {
            return Err(denial);
        };
        let addr = caller.addr.unwrap_or(UNIX_ADDR);
        match self.token_verdict(addr, own.matches(shown)) {
            TokenVerdict::Right => Ok(()),
            TokenVerdict::Wrong => Err(denial),
            TokenVerdict::TooMany => Err(AccessDenied::too_many(addr)),
        }
    }

    fn token_verdict(&self, addr: IpAddr, is_right: bool) -> TokenVerdict {
        let verdict = self.throttle.check(addr, is_right);
        if verdict == TokenVerdict::Wrong {
            self.wrong_token_log.record(addr);
        }
        verdict
    }

    /// Returns `true` if the sender needs no token.
    fn is_local(&self, caller: &Caller<'_>) -> bool {
        let needs_token = match self.local_token {
            LocalTokenRule::None => false,
            LocalTokenRule::Tcp => caller.addr.is_some(),
            LocalTokenRule::All => true,
        };
        self.is_near(caller) && !needs_token
    }

    fn is_near(&self, caller: &Caller<'_>) -> bool {
        let addr = caller.addr.map(|addr| addr.to_canonical());
        let is_near = caller.is_on_this_machine() || addr.is_some() && self.gateway == addr;
        is_near && !caller.forwarded
    }

    /// Decides whether `token`, shown by a sender at `addr`, is the right one.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub fn check_token(&self, addr: Option<IpAddr>, token: &Token) -> Result<(), AccessDenied> {
        let addr = addr.unwrap_or(UNIX_ADDR);
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

    /// Checks a request without a command for a sign of a web server in front: see
    /// [`ReverseProxyWatch`].
    pub fn observe_request<'h>(
        &self,
        addr: Option<IpAddr>,
        host: impl FnOnce() -> Option<&'h [u8]>,
    ) {
        let Some(addr) = addr else { return };
        self.reverse_proxy
            .record_foreign_host(addr, host, &self.hosts);
    }

    fn cross_site_denial(&self, caller: &Caller<'_>, path: &str) -> Option<AccessDenied> {
        let reason = cross_site::cross_site_reason(caller, &self.hosts)?;
        self.observe_request(caller.addr, || caller.host);
        Some(AccessDenied::forbidden(format!(
            "{path} is not for web pages of other sites without a bearer token: {reason}"
        )))
    }

    fn remote_denial(&self, caller: &Caller<'_>, path: &str) -> AccessDenied {
        let addr = caller.name();
        let role = match caller.forwarded {
            true => " and the request was forwarded",
            false => "",
        };
        let shown = caller.authorization.and_then(bearer).is_some();
        AccessDenied::forbidden(match (&self.token, shown) {
            (None, _) => {
                format!("{path} is for local peers, you are {addr}{role}; set --control-token")
            }
            (Some(_), false) if self.local_token != LocalTokenRule::None => {
                format!("{path} needs a bearer token (--require-token)")
            }
            (Some(_), false) => format!(
                "{path} is for local peers or a bearer token, you are {addr}{role} without one"
            ),
            (Some(_), true) => format!("{path} needs a bearer token, and yours is wrong"),
        })
    }

    /// Denies a change on this machine to users other than our own and root. The owner of a socket
    /// behind a gateway cannot be looked up here.
    fn other_user_denial(&self, caller: &Caller<'_>, path: &str) -> Option<AccessDenied> {
        if !caller.is_on_this_machine() {
            return None;
        }
        let own = socket_owner::own_user();
        let ownership = match (caller.owner)() {
            Ok(SocketOwner::User(user)) if user == own || user == ROOT => return None,
            Ok(SocketOwner::User(user)) => format!("belongs to {}", socket_owner::described(user)),
            Ok(SocketOwner::Gone) => "was closed before its owner could be looked up".to_owned(),
            Err(err) => format!("has an unknown owner: {err}"),
        };
        let allowed = match own {
            ROOT => "root".to_owned(),
            own => format!("{} and root", socket_owner::described(own)),
        };
        let remedy = match (&self.token, caller.authorization.and_then(bearer)) {
            (None, _) => "set --control-token",
            (Some(_), None) => "show the token",
            (Some(_), Some(_)) => "the token is wrong",
        };
        Some(AccessDenied::forbidden(format!(
            "{path} is for {allowed} on this machine, and the connection {ownership}; {remedy}"
        )))
    }
}

#[cfg(test)]
mod tests;
