//! Detection of a web server in front of the balancer on the same machine, which makes each of its
//! clients local.
//!
//! The sign is that orders, which were allowed because they are local, and requests for a foreign
//! `Host` come from one address. It is logged once. An ordinary request costs one atomic load until
//! an order was allowed, and two after that.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cross_site::{self, HostName};

/// Maximum length of the part of a `Host` that the log repeats, in bytes.
const MAX_LOGGED_HOST: usize = 100;

/// Observations so far.
#[derive(Debug, Default)]
pub struct ReverseProxyWatch {
    /// Address of the first order that was allowed without a token.
    order_from: OnceLock<IpAddr>,
    logged: AtomicBool,
}

impl ReverseProxyWatch {
    /// Records an order from `addr` that was allowed without a token.
    pub(super) fn record_order(&self, addr: IpAddr) {
        // The first is enough: there are several local addresses only with a trusted gateway.
        let _ = self.order_from.set(addr.to_canonical());
    }

    /// Returns `true` if an order was recorded.
    #[cfg(test)]
    pub(super) fn has_order(&self) -> bool {
        self.order_from.get().is_some()
    }

    /// Records a request from `addr` for `host`. `names` are the program's own.
    pub(super) fn record_foreign_host<'h>(
        &self,
        addr: IpAddr,
        host: impl FnOnce() -> Option<&'h [u8]>,
        names: &[HostName],
    ) {
        if let Some(host) = self.observe(addr, host, names) {
            let shown = host[..host.len().min(MAX_LOGGED_HOST)].escape_ascii();
            tracing::warn!(
                "orders without a token and requests for another host ({shown}) come from {}: if a web \
                 server stands in front of us there, its clients may count as local; set --data-port-admin \
                 off, or run it as a user of its own",
                addr.to_canonical()
            );
        }
    }

    /// Returns the foreign host if it must be logged.
    fn observe<'h>(
        &self,
        addr: IpAddr,
        host: impl FnOnce() -> Option<&'h [u8]>,
        names: &[HostName],
    ) -> Option<&'h [u8]> {
        let order_from = self.order_from.get()?;
        if self.logged.load(Ordering::Relaxed) || *order_from != addr.to_canonical() {
            return None;
        }
        let host = host()?;
        let is_first =
            cross_site::is_foreign_host(host, names) && !self.logged.swap(true, Ordering::Relaxed);
        is_first.then_some(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_foreign_hosts_of_one_address_are_logged_once() {
        let front = ReverseProxyWatch::default();
        let [here, there]: [IpAddr; 2] = ["127.0.0.1", "192.0.2.1"].map(|ip| ip.parse().unwrap());
        let names = ["ours".parse().unwrap()];
        let observe =
            |addr, host: &'static str| front.observe(addr, || Some(host.as_bytes()), &names);
        assert_eq!(observe(here, "www.example"), None, "no order yet");
        front.record_order("::ffff:127.0.0.1".parse().unwrap());
        front.record_order(there);
        assert_eq!(observe(there, "www.example"), None, "another address");
        for own in ["localhost:5000", "127.0.0.1", "ours:5001"] {
            assert_eq!(observe(here, own), None, "{own}");
        }
        assert_eq!(front.observe(here, || None, &names), None);
        assert_eq!(observe(here, "www.example"), Some(&b"www.example"[..]));
        assert_eq!(observe(here, "www.example"), None, "already logged");
    }
}
