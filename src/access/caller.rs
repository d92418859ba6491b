//! Sender of a command, as a port sees it.

use std::fmt;
use std::io;
use std::net::IpAddr;

use crate::wire::socket_owner::SocketOwner;

/// Properties of the sender of a command.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Remote address of the connection; `None` for a Unix socket.
    pub addr: Option<IpAddr>,
    /// `true` if `Forwarded`, `X-Forwarded-For`, `X-Real-IP` or `Via` is present: then the address
    /// is that of a proxy. Only the data port sets it.
    pub forwarded: bool,
    /// Value of `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// Value of `Origin`.
    pub origin: Option<&'a [u8]>,
    /// Value of `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a [u8]>,
    /// Value of `Host`. Without it (HTTP/1.0, the text protocol) the sender is not a browser.
    pub host: Option<&'a [u8]>,
    /// Looks up the owner of the sender's socket. Called only for a change from a loopback address
    /// or over a Unix socket.
    pub owner: &'a dyn Fn() -> io::Result<SocketOwner>,
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<&[u8]>| value.map(|bytes| bytes.escape_ascii().to_string());
        f.debug_struct("Caller")
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
    /// Returns a sender of which only the address and the socket owner are known.
    #[must_use]
    pub fn at(
        addr: impl Into<Option<IpAddr>>,
        owner: &'a dyn Fn() -> io::Result<SocketOwner>,
    ) -> Self {
        Self {
            addr: addr.into(),
            forwarded: false,
            authorization: None,
            origin: None,
            fetch_site: None,
            host: None,
            owner,
        }
    }

    /// Returns `true` for a sender on this machine: at a loopback address or a Unix socket.
    pub(super) fn is_on_this_machine(&self) -> bool {
        self.addr
            .is_none_or(|addr| addr.to_canonical().is_loopback())
    }

    /// Returns the address for a sentence.
    pub(super) fn name(&self) -> String {
        let name = self.addr.map(|addr| addr.to_canonical().to_string());
        name.unwrap_or_else(|| "a client of a Unix socket".to_owned())
    }
}
