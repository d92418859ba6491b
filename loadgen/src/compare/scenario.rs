//! Scenarios: the load, the number of connections, backends and workers, and what is measured.
//!
//! The number of connections keeps every proxy busy, while the bodies in flight fit the caches as
//! in normal use. 64 bodies of 16 MiB would measure main memory.

use clap::ValueEnum;

use super::aim::Aim;
use super::memory_row::{self, MemoryRow};
use super::peer::Peer;
use super::setting::{
    BACKEND_SETTINGS, CONNECTION_SETTINGS, OBSERVED_SETTINGS, PLAIN, SOCKET_SETTINGS, Setting,
    WORKER_SETTINGS,
};

/// A kind of load, or a question about the proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// 200-byte bodies on kept connections
    Small,
    /// 200-byte bodies, one connection per request
    Close,
    /// 16 KiB bodies
    #[value(name = "16k")]
    Body16KiB,
    /// 1 MiB bodies
    #[value(name = "1m")]
    Body1MiB,
    /// 16 MiB bodies
    #[value(name = "16m")]
    Body16MiB,
    /// Bodies of 65,536 one-byte chunks
    Chunks,
    /// 200-byte bodies over 64, 512 and 4,096 connections
    Connections,
    /// 200-byte bodies with 3, 64 and 256 backends
    Backends,
    /// 200-byte bodies, one worker against two
    Workers,
    /// 200-byte bodies with 64 backends: with an access log, with metrics scraped once per load
    Observed,
    /// 200-byte bodies, backends at loopback ports against backends at Unix sockets
    Sockets,
    /// Memory of idle connections
    Idle,
    /// Memory of requests that wait for their reply
    Waiting,
    /// Memory of uploads to a backend that reads nothing
    StuckUploads,
    /// Memory of slow uploads
    SlowUploads,
    /// Memory of replies of 1 MiB to clients that read nothing
    SlowReaders,
    /// Memory of replies in 1,000-byte chunks to clients that read nothing
    SlowChunks,
    /// Memory of idle connections that came all at once
    Burst,
    /// Memory after six rounds of 20,000 requests over 3,400 connections
    Rounds,
    /// Small requests beside 20 uploads, downloads, tunnels, bodies in one-byte chunks
    Fairness,
}

/// Load of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Title without the number of connections.
    pub(crate) title: &'static str,
    pub(crate) body: Body,
    pub(crate) connections: usize,
    /// The client sends `Connection: close`.
    pub(crate) close: bool,
    /// Latencies are also measured at a fixed rate.
    pub(crate) paced: bool,
}

/// Body of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// Content-Length, and as many bytes.
    Length(usize),
    /// This number of chunks, each of one byte.
    OneByteChunks(usize),
}

/// The most common load of proxies.
pub(crate) const SMALL: Shape = Shape {
    title: "200-byte body, keep-alive",
    body: Body::Length(200),
    connections: 64,
    close: false,
    paced: true,
};

/// Peers of the scenarios that measure how the cost grows.
const GROWTH_PEERS: [Peer; 2] = [Peer::Ringmaster, Peer::HaproxyHttp];

impl Scenario {
    /// Name in flags and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Close => "close",
            Self::Body16KiB => "16k",
            Self::Body1MiB => "1m",
            Self::Body16MiB => "16m",
            Self::Chunks => "chunks",
            Self::Connections => "connections",
            Self::Backends => "backends",
            Self::Workers => "workers",
            Self::Observed => "observed",
            Self::Sockets => "sockets",
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::StuckUploads => "stuck-uploads",
            Self::SlowUploads => "slow-uploads",
            Self::SlowReaders => "slow-readers",
            Self::SlowChunks => "slow-chunks",
            Self::Burst => "burst",
            Self::Rounds => "rounds",
            Self::Fairness => "fairness",
        }
    }

    /// Load of the scenario; `None` for the scenarios that do not measure CPU.
    pub(crate) fn shape(self) -> Option<Shape> {
        let growth = Shape {
            paced: false,
            ..SMALL
        };
        Some(match self {
            Self::Small => SMALL,
            Self::Close => Shape {
                title: "200-byte body, Connection: close",
                close: true,
                ..SMALL
            },
            Self::Body16KiB => Shape {
                title: "16 KiB body, keep-alive",
                body: Body::Length(16 << 10),
                ..SMALL
            },
            Self::Body1MiB => Shape {
                title: "1 MiB body, keep-alive",
                body: Body::Length(1 << 20),
                connections: 16,
                ..growth
            },
            Self::Body16MiB => Shape {
                title: "16 MiB body, keep-alive",
                body: Body::Length(16 << 20),
                connections: 4,
                ..growth
            },
            Self::Chunks => Shape {
                title: "65,536 chunks of one byte, keep-alive",
                body: Body::OneByteChunks(65_536),
                connections: 16,
                ..growth
            },
            Self::Connections | Self::Backends | Self::Workers | Self::Observed | Self::Sockets => {
                growth
            }
            _ => return None,
        })
    }

    /// Settings in which each peer is measured.
    pub(crate) fn settings(self) -> &'static [Setting] {
        match self {
            Self::Connections => &CONNECTION_SETTINGS,
            Self::Backends => &BACKEND_SETTINGS,
            Self::Workers => &WORKER_SETTINGS,
            Self::Observed => &OBSERVED_SETTINGS,
            Self::Sockets => &SOCKET_SETTINGS,
            _ => &[PLAIN],
        }
    }

    /// Returns the scenario with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::value_variants().iter().copied();
        all.find(|scenario| scenario.name() == name)
    }

    /// Aim of ringmaster's CPU per request, as a ratio to the baseline.
    pub(crate) fn cpu_aim(self) -> Option<Aim> {
        Some(Aim(match self {
            Self::Small => 0.78,
            Self::Close => 0.68,
            Self::Body1MiB => 0.60,
            Self::Body16MiB => 0.75,
            Self::Chunks => 1.0,
            Self::Connections | Self::Backends | Self::Workers | Self::Observed => 0.90,
            _ => return None,
        }))
    }

    /// Aim of the CPU per request in the last setting, as a ratio to the first.
    pub(crate) fn growth_aim(self) -> Option<Aim> {
        (self == Self::Backends).then_some(Aim(1.1))
    }

    /// Label of the last of several settings.
    pub(crate) fn last_label(self) -> Option<&'static str> {
        let label = self.settings().last()?.label;
        (!label.is_empty()).then_some(label)
    }

    /// Returns `true` if the scenario measures this peer.
    pub(crate) fn measures(self, peer: Peer) -> bool {
        match self {
            Self::Connections | Self::Backends | Self::Workers | Self::Observed => {
                GROWTH_PEERS.contains(&peer)
            }
            Self::Sockets => GROWTH_PEERS.contains(&peer) || peer == Peer::NginxHttp,
            // The relay knows no HTTP, so that it cannot keep a connection to a backend when its
            // client leaves. With one-byte chunks it would be the scenario 1m again.
            Self::Close | Self::Chunks => peer != Peer::Relay,
            _ => true,
        }
    }

    /// Held connections of a scenario that measures memory.
    pub(crate) fn memory_row(self) -> Option<&'static MemoryRow> {
        Some(match self {
            Self::Idle => &memory_row::IDLE,
            Self::Waiting => &memory_row::WAITING,
            Self::StuckUploads => &memory_row::STUCK_UPLOADS,
            Self::SlowUploads => &memory_row::SLOW_UPLOADS,
            Self::SlowReaders => &memory_row::SLOW_READERS,
            Self::SlowChunks => &memory_row::SLOW_CHUNKS,
            Self::Burst => &memory_row::BURST,
            Self::Rounds => &memory_row::ROUNDS,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::setting::MAX_BACKENDS;

    #[test]
    fn names_are_those_of_the_flags() {
        for scenario in Scenario::value_variants() {
            let flag = scenario.to_possible_value().unwrap();
            assert_eq!(flag.get_name(), scenario.name());
            assert_eq!(Scenario::from_name(scenario.name()), Some(*scenario));
        }
    }

    #[test]
    fn the_last_setting_is_that_of_the_table() {
        let last = [Scenario::Backends, Scenario::Small].map(Scenario::last_label);
        assert_eq!(last, [Some("b256"), None]);
    }

    #[test]
    fn every_scenario_measures_cpu_or_memory_or_fairness() {
        for scenario in Scenario::value_variants() {
            let kinds = [
                scenario.shape().is_some(),
                scenario.memory_row().is_some(),
                *scenario == Scenario::Fairness,
            ];
            let count = kinds.into_iter().filter(|kind| *kind).count();
            assert_eq!(count, 1, "{}", scenario.name());
            let settings = scenario.settings();
            assert!(
                settings
                    .iter()
                    .all(|setting| setting.backends <= MAX_BACKENDS)
            );
        }
    }
}
