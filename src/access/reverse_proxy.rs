//! A watch for a web server in front of us on the same machine, which makes each of its clients local.
//!
//! It shows when orders, which were let in because they are local, and requests for a foreign `Host` come from one
//! address. That is said once. An ordinary request costs one look at a cell until an order was let in, and again
//! once it was said.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cross_site::{self, HostName};

/// The longest part of a `Host` that the log repeats, in bytes.
const MAX_SHOWN: usize = 100;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct ReverseProxyWatch {
    /// Where the first order came from that was let in without a token.
    ordered: OnceLock<IpAddr>,
    told: AtomicBool,
}

impl ReverseProxyWatch {
    /// An order from `addr` was let in without a token.
    pub(super) fn record_order(&self, addr: IpAddr) {
        // The first is enough: more addresses are local only on machines that trust a gateway too.
        let _ = self.ordered.set(addr.to_canonical());
    }

    /// A request from `addr` for `host` came by. `names` are ours.
    pub(super) fn record_foreign_host<'h>(
        &self,
        addr: IpAddr,
        host: impl FnOnce() -> Option<&'h [u8]>,
        names: &[HostName],
    ) {
        if let Some(host) = self.observe(addr, host, names) {
            let shown = host[..host.len().min(MAX_SHOWN)].escape_ascii();
            tracing::warn!(
                "orders without a token and requests for another host ({shown}) come from {}: if a web \
                 server stands in front of us there, its clients may count as local; set --data-port-admin \
                 off, or run it as a user of its own",
                addr.to_canonical()
            );
        }
    }

    /// The foreign host, if that is to be told.
    fn observe<'h>(
        &self,
        addr: IpAddr,
        host: impl FnOnce() -> Option<&'h [u8]>,
        names: &[HostName],
    ) -> Option<&'h [u8]> {
        let ordered = self.ordered.get()?;
        if self.told.load(Ordering::Relaxed) || *ordered != addr.to_canonical() {
            return None;
        }
        let host = host()?;
        let news =
            cross_site::is_foreign_host(host, names) && !self.told.swap(true, Ordering::Relaxed);
        news.then_some(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_foreign_hosts_of_one_address_are_told_once() {
        let front = ReverseProxyWatch::default();
        let [here, there]: [IpAddr; 2] = ["127.0.0.1", "192.0.2.1"].map(|ip| ip.parse().unwrap());
        let names = ["ours".parse().unwrap()];
        let sees = |addr, host: &'static str| front.observe(addr, || Some(host.as_bytes()), &names);
        assert_eq!(sees(here, "www.example"), None, "no order yet");
        front.record_order("::ffff:127.0.0.1".parse().unwrap());
        front.record_order(there);
        assert_eq!(sees(there, "www.example"), None, "another address");
        for own in ["localhost:5000", "127.0.0.1", "ours:5001"] {
            assert_eq!(sees(here, own), None, "{own}");
        }
        assert_eq!(front.observe(here, || None, &names), None);
        assert_eq!(sees(here, "www.example"), Some(&b"www.example"[..]));
        assert_eq!(sees(here, "www.example"), None, "it was told");
    }
}
