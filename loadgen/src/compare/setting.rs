//! Settings of the scenarios that measure how the cost grows, as data: connections, backends,
//! workers, an access log, a scraper, Unix sockets. Pure.

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
    /// The backends listen on Unix sockets instead of loopback ports.
    pub(crate) sockets: bool,
}

/// Setting of most scenarios.
pub(crate) const PLAIN: Setting = Setting {
    label: "",
    connections: None,
    backends: 3,
    workers: 1,
    access_log: false,
    scraped: false,
    sockets: false,
};

/// Highest number of backends of any setting.
pub(crate) const MAX_BACKENDS: usize = 256;

pub(super) const CONNECTION_SETTINGS: [Setting; 3] = [
    connections("c64", 64),
    connections("c512", 512),
    connections("c4096", 4096),
];

pub(super) const BACKEND_SETTINGS: [Setting; 3] = [
    backends("b3", 3),
    backends("b64", 64),
    backends("b256", MAX_BACKENDS),
];

pub(super) const WORKER_SETTINGS: [Setting; 2] = [workers("x1", 1), workers("x2", 2)];

pub(super) const OBSERVED_SETTINGS: [Setting; 3] = [
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

pub(super) const SOCKET_SETTINGS: [Setting; 2] = [
    backends("tcp", PLAIN.backends),
    Setting {
        sockets: true,
        ..backends("unix", PLAIN.backends)
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
