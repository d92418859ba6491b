//! What is asked of the peers: the size of the body, how many connections, whether they are kept.
//!
//! The numbers of connections are such that a proxy never lacks work, and that the bodies under way fit
//! the caches as they would in use: 64 of 16 MiB would measure the memory.

use clap::ValueEnum;

/// One kind of work, or one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// 200-byte bodies on kept connections
    Small,
    /// 200-byte bodies, each on a connection of its own
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
    /// Memory and CPU of connections that do nothing
    Idle,
    /// 200-byte bodies, one worker against two
    Workers,
    /// Small requests beside 20 uploads, downloads, tunnels, bodies in one-byte chunks
    Fairness,
}

/// The load of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// What it is, for people, but for the connections.
    pub(crate) title: &'static str,
    pub(crate) body_bytes: usize,
    pub(crate) connections: usize,
    /// The client asks for `Connection: close`.
    pub(crate) close: bool,
    /// Latencies are also measured at a fixed rate.
    pub(crate) paced: bool,
}

/// The load that proxies see most.
pub(crate) const SMALL: Shape = Shape {
    title: "200-byte body, keep-alive",
    body_bytes: 200,
    connections: 64,
    close: false,
    paced: true,
};

impl Scenario {
    /// Its name in flags and files.
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

    /// Its load; `None` for idle connections, which have none, and where several are set against each other.
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
