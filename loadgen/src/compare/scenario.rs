//! Scenarios: the load, the number of connections, backends and workers, and what is measured.
//!
//! The number of connections keeps every proxy busy, while the bodies in flight fit the caches as
//! in normal use. 64 bodies of 16 MiB would measure main memory.

use clap::ValueEnum;

use super::memory_row::MemoryRow;
use super::peer::Peer;

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

/// Setting in which a scenario runs a peer. Several settings measure how the cost grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Follows the name of the peer in tables; empty if the scenario has only one setting.
    pub(crate) label: &'static str,
    /// `None`: those of the shape.
    pub(crate) connections: Option<usize>,
    pub(crate) backends: usize,
    pub(crate) workers: usize,
    pub(crate) access_log: bool,
    /// The metrics are requested when a load begins, and once per second after that.
    pub(crate) scraped: bool,
}

/// Setting of most scenarios.
pub(crate) const PLAIN: Setting = Setting {
    label: "",
    connections: None,
    backends: 3,
    workers: 1,
    access_log: false,
    scraped: false,
};

/// Highest number of backends of any setting.
pub(crate) const MAX_BACKENDS: usize = 256;

const CONNECTION_SETTINGS: [Setting; 3] = [
    connections("c64", 64),
    connections("c512", 512),
    connections("c4096", 4096),
];

const BACKEND_SETTINGS: [Setting; 3] = [
    backends("b3", 3),
    backends("b64", 64),
    backends("b256", MAX_BACKENDS),
];

const WORKER_SETTINGS: [Setting; 2] = [workers("x1", 1), workers("x2", 2)];

const OBSERVED_SETTINGS: [Setting; 3] = [
    backends("plain", 64),
    Setting {
        access_log: true,
        ..backends("log", 64)
    },
    Setting {
        scraped: true,
        ..backends("scrape", 64)
    },
];

const fn connections(label: &'static str, connections: usize) -> Setting {
    Setting {
        label,
        connections: Some(connections),
        ..PLAIN
    }
}

const fn backends(label: &'static str, backends: usize) -> Setting {
    Setting {
        label,
        backends,
        ..PLAIN
    }
}

const fn workers(label: &'static str, workers: usize) -> Setting {
    Setting {
        label,
        workers,
        ..PLAIN
    }
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
            Self::Connections | Self::Backends | Self::Workers | Self::Observed => growth,
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
            _ => &[PLAIN],
        }
    }

    /// Label of the last setting of the scenario with this name; `None` if it has only one.
    pub(crate) fn last_label(name: &str) -> Option<&'static str> {
        let all = Self::value_variants().iter();
        let settings = all.filter(|scenario| scenario.name() == name);
        let settings = settings.flat_map(|scenario| scenario.settings().last());
        settings
            .map(|setting| setting.label)
            .find(|label| !label.is_empty())
    }

    /// Returns `true` if the scenario measures this peer.
    pub(crate) fn measures(self, peer: Peer) -> bool {
        match self {
            Self::Connections | Self::Backends | Self::Workers | Self::Observed => {
                GROWTH_PEERS.contains(&peer)
            }
            // The relay knows no HTTP, so that it cannot keep a connection to a backend when its
            // client leaves. With one-byte chunks it would be the scenario 1m again.
            Self::Close | Self::Chunks => peer != Peer::Relay,
            _ => true,
        }
    }

    /// Held connections of a scenario that measures memory.
    pub(crate) fn memory_row(self) -> Option<MemoryRow> {
        Some(match self {
            Self::Idle => MemoryRow::Idle,
            Self::Waiting => MemoryRow::Waiting,
            Self::StuckUploads => MemoryRow::StuckUploads,
            Self::SlowUploads => MemoryRow::SlowUploads,
            Self::SlowReaders => MemoryRow::SlowReaders,
            Self::SlowChunks => MemoryRow::SlowChunks,
            Self::Burst => MemoryRow::Burst,
            Self::Rounds => MemoryRow::Rounds,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_flags() {
        for scenario in Scenario::value_variants() {
            let flag = scenario.to_possible_value().unwrap();
            assert_eq!(flag.get_name(), scenario.name());
        }
    }

    #[test]
    fn the_last_setting_is_that_of_the_table() {
        let last = ["backends", "small"].map(Scenario::last_label);
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
