//! Scenarios: body size, number of connections, and keep-alive.
//!
//! The number of connections keeps every proxy busy, while the bodies in flight fit the caches as
//! in normal use. 64 bodies of 16 MiB would measure main memory.

use clap::ValueEnum;

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
    /// Memory and CPU of idle connections
    Idle,
    /// 200-byte bodies, one worker against two
    Workers,
    /// Small requests beside 20 uploads, downloads, tunnels, bodies in one-byte chunks
    Fairness,
}

/// Load of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Title without the number of connections.
    pub(crate) title: &'static str,
    pub(crate) body_bytes: usize,
    pub(crate) connections: usize,
    /// The client sends `Connection: close`.
    pub(crate) close: bool,
    /// Latencies are also measured at a fixed rate.
    pub(crate) paced: bool,
}

/// The most common load of proxies.
pub(crate) const SMALL: Shape = Shape {
    title: "200-byte body, keep-alive",
    body_bytes: 200,
    connections: 64,
    close: false,
    paced: true,
};

impl Scenario {
    /// Name in flags and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Close => "close",
            Self::Body16KiB => "16k",
            Self::Body1MiB => "1m",
            Self::Body16MiB => "16m",
            Self::Idle => "idle",
            Self::Workers => "workers",
            Self::Fairness => "fairness",
        }
    }

    /// Load of the scenario; `None` for the scenarios that are not measured in rounds.
    pub(crate) fn shape(self) -> Option<Shape> {
        let shape = match self {
            Self::Idle | Self::Fairness => return None,
            Self::Small => SMALL,
            Self::Close => Shape {
                title: "200-byte body, Connection: close",
                close: true,
                ..SMALL
            },
            Self::Body16KiB => Shape {
                title: "16 KiB body, keep-alive",
                body_bytes: 16 << 10,
                ..SMALL
            },
            Self::Body1MiB => Shape {
                title: "1 MiB body, keep-alive",
                body_bytes: 1 << 20,
                connections: 16,
                paced: false,
                ..SMALL
            },
            Self::Body16MiB => Shape {
                title: "16 MiB body, keep-alive",
                body_bytes: 16 << 20,
                connections: 4,
                paced: false,
                ..SMALL
            },
            Self::Workers => Shape {
                title: "200-byte body, keep-alive, one worker against two",
                paced: false,
                ..SMALL
            },
        };
        Some(shape)
    }
}
