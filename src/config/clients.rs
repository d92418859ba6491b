//! Flags about the clients of the data port: which are served, and how much each may take.

use std::num::NonZeroU32;

use ipnet::IpNet;

use super::parsers::{network, positive_count};
use crate::clients::{ClientLimits, ClientPolicy, NetworkRules, RequestRate};

/// Flags of `serve` about clients.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct ClientArgs {
    #[arg(
        long,
        env = "RINGMASTER_ALLOW",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = network,
        help = "Networks whose clients are served, and no others; repeatable [default: all]"
    )]
    pub allow: Vec<IpNet>,
    #[arg(
        long,
        env = "RINGMASTER_DENY",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = network,
        help = "Networks whose clients are not served; repeatable; between --allow and --deny the longest prefix decides"
    )]
    pub deny: Vec<IpNet>,
    #[arg(
        long,
        env = "RINGMASTER_MAX_CONNECTIONS_PER_CLIENT",
        value_name = "N",
        value_parser = positive_count::<NonZeroU32>,
        help = "Limit of open connections of one client, an IPv4 address or an IPv6 /64; further ones are closed [default: none]"
    )]
    pub max_connections_per_client: Option<NonZeroU32>,
    #[arg(
        long,
        env = "RINGMASTER_RATE_PER_CLIENT",
        value_name = "N/s",
        help = "Limit of the requests of one client, per second (N/s), minute (N/m) or hour (N/h); further ones get 429 [default: none]"
    )]
    pub rate_per_client: Option<RequestRate>,
    #[arg(
        long,
        env = "RINGMASTER_BURST_PER_CLIENT",
        value_name = "N",
        value_parser = positive_count::<NonZeroU32>,
        help = "Requests of one client that may come at once [default: those of a second, at least 1]"
    )]
    pub burst_per_client: Option<NonZeroU32>,
    #[arg(
        long,
        env = "RINGMASTER_LIMIT_EXEMPT",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = network,
        help = "Networks whose clients have no limit of their own; repeatable"
    )]
    pub limit_exempt: Vec<IpNet>,
}

impl ClientArgs {
    /// Checks the combination of the flags.
    pub(super) fn check(&self) -> Result<ClientPolicy, String> {
        if self.burst_per_client.is_some() && self.rate_per_client.is_none() {
            return Err("--burst-per-client goes with --rate-per-client".to_owned());
        }
        let is_limited =
            self.max_connections_per_client.is_some() || self.rate_per_client.is_some();
        if !self.limit_exempt.is_empty() && !is_limited {
            return Err(
                "--limit-exempt goes with --max-connections-per-client or --rate-per-client"
                    .to_owned(),
            );
        }
        let networks = NetworkRules {
            allowed: self.allow.clone(),
            denied: self.deny.clone(),
        };
        let limits = is_limited.then(|| ClientLimits {
            connections: self.max_connections_per_client.map(NonZeroU32::get),
            rate: self
                .rate_per_client
                .map(|rate| (rate, rate.bucket(self.burst_per_client))),
            exempt: self.limit_exempt.clone(),
        });
        Ok(ClientPolicy::new(networks, limits))
    }
}
