//! Flags of heartbeats, and the checks of their combinations.

use std::num::NonZeroU32;
use std::time::Duration;

use super::parsers::{duration, host, positive_count, positive_duration, probe_kind};
use crate::fleet;
use crate::wire::proxy_header::SentProxyHeader;

/// Flags of `serve` about heartbeats.
#[derive(Debug, clap::Args)]
pub struct HeartbeatArgs {
    #[arg(long, env = "RINGMASTER_HEARTBEAT_INTERVAL", default_value = "250ms", value_parser = duration, help = "Interval between heartbeats; 0s (fixed engine only) turns them off")]
    pub heartbeat_interval: Duration,
    #[arg(long, env = "RINGMASTER_HEARTBEAT_TIMEOUT", default_value = "200ms", value_parser = positive_duration, help = "Time after which an unanswered heartbeat counts as missed")]
    pub heartbeat_timeout: Duration,
    #[arg(
        long,
        env = "RINGMASTER_HEARTBEAT_MISSES",
        default_value = "3",
        value_parser = positive_count::<NonZeroU32>,
        help = "Consecutive misses until requests go to other replicas"
    )]
    pub heartbeat_misses: NonZeroU32,
    #[arg(long, env = "RINGMASTER_HEARTBEAT_PATH", default_value = "/heartbeat", value_parser = probe_kind, help = "Path that heartbeats request; tcp: none, a connection suffices")]
    pub heartbeat_path: fleet::ProbeKind,
    #[arg(long, env = "RINGMASTER_HEARTBEAT_HOST", value_name = "NAME", value_parser = host, help = "Host field of heartbeats [default: the address of the replica]")]
    pub heartbeat_host: Option<String>,
    #[arg(long, env = "RINGMASTER_REPLACE_AFTER", default_value = "5s", value_parser = duration, help = "Silence after which a replica is replaced; 0s: right after the misses")]
    pub replace_after: Duration,
}

impl HeartbeatArgs {
    /// Checks the combination of the flags; `None` turns heartbeats off. `fixed`: the replicas are
    /// addresses, which the balancer cannot replace. `proxy`: version of the PROXY header in front
    /// of each connection of heartbeats.
    ///
    /// # Errors
    /// A sentence that names the flags.
    pub(super) fn check(
        &self,
        fixed: bool,
        proxy: Option<SentProxyHeader>,
    ) -> Result<Option<fleet::HeartbeatSettings>, String> {
        if self.heartbeat_interval.is_zero() && !fixed {
            return Err("--heartbeat-interval 0s needs --engine fixed".to_owned());
        }
        let kind = match (self.heartbeat_path.clone(), self.heartbeat_host.clone()) {
            (fleet::ProbeKind::Connect, Some(_)) => {
                return Err(
                    "--heartbeat-host does not go with --heartbeat-path tcp: nothing is sent"
                        .to_owned(),
                );
            }
            (fleet::ProbeKind::Get { path, .. }, host) => fleet::ProbeKind::Get { path, host },
            (kind, None) => kind,
        };
        let heartbeat = fleet::HeartbeatSettings {
            interval: self.heartbeat_interval,
            timeout: self.heartbeat_timeout,
            misses: self.heartbeat_misses.get(),
            replace_after: self.replace_after,
            probe: fleet::Probe { kind, proxy },
        };
        Ok((!self.heartbeat_interval.is_zero()).then_some(heartbeat))
    }
}
