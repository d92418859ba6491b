//! Counters of a worker that belong to no replica: its clients, its local replies, its resources.

use super::{Counter, StatusClasses};

/// Counters of the data port: those of each worker, and those of the access log.
#[derive(Debug)]
pub struct DataPortCounters {
    by_worker: Box<[WorkerPortCounters]>,
    log: AccessLogCounters,
    limit: u64,
}

/// Counters of the access log's writer.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct AccessLogCounters {
    /// Lines that were written.
    pub written: Counter,
    /// Lines that could not be written: the disk is full, or the pipe has no reader.
    pub failed: Counter,
}

/// Counters of one worker. Aligned as [`super::WorkerCounters`] is.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerPortCounters {
    /// Client connections that were accepted.
    pub accepted: Counter,
    /// Client connections that have ended.
    pub closed: Counter,
    /// Client connections that were idle or had not completed a head at the connection limit, and
    /// were closed for new clients.
    pub evicted: Counter,
    /// Client connections that were reset because no replica could be reached.
    pub unserved: Counter,
    /// Connections of proxies that were closed, because their PROXY header was missing, malformed
    /// or late.
    pub proxy_headers_refused: Counter,
    /// Connections that were closed because the client's network is not served.
    pub clients_denied: Counter,
    /// Connections that were closed because their client had too many.
    pub clients_over_connections: Counter,
    /// Requests that were refused because they came too fast, and whole connections that were
    /// closed for that.
    pub clients_over_rate: Counter,
    /// Connections that were closed, because their ClientHello was missing, malformed, too long or
    /// late.
    pub client_hellos_refused: Counter,
    /// Request heads that were refused, by status class.
    pub refused: StatusClasses,
    /// Locally generated replies other than these refusals.
    pub own_replies: StatusClasses,
    /// Requests that were lost and not resent, because the retry budget was exhausted.
    pub retries_denied: Counter,
    /// Connections to replicas that came from a pool.
    pub pool_hits: Counter,
    /// Connections to replicas that were opened.
    pub pool_misses: Counter,
    /// Bytes that were transferred through pipes.
    pub spliced: Counter,
    /// Large pieces that were copied, because no pipe was available or the sockets do not support
    /// splice.
    pub splice_fallbacks: Counter,
    /// Access-log lines that were dropped because the writer's queue was full.
    pub records_lost: Counter,
}

impl DataPortCounters {
    /// Returns counters at zero for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            by_worker: (0..workers)
                .map(|_| WorkerPortCounters::default())
                .collect(),
            log: AccessLogCounters::default(),
            limit: 0,
        }
    }

    /// Returns the counters with this limit of client connections.
    #[must_use]
    pub fn limited_to(self, connections: usize) -> Self {
        let limit = u64::try_from(connections).unwrap_or(u64::MAX);
        Self { limit, ..self }
    }

    /// Returns the counters of worker number `worker`, counted from 0.
    #[must_use]
    pub fn worker(&self, worker: usize) -> &WorkerPortCounters {
        &self.by_worker[worker]
    }

    /// Returns all counters, by worker.
    #[must_use]
    pub fn workers(&self) -> &[WorkerPortCounters] {
        &self.by_worker
    }

    /// Returns the counters of the access log's writer.
    #[must_use]
    pub fn log(&self) -> &AccessLogCounters {
        &self.log
    }

    /// Returns the maximum number of open client connections, over all workers.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Returns the number of open client connections, over all workers.
    #[must_use]
    pub fn open(&self) -> u64 {
        // Closed first: a connection that is accepted in between must not make the difference
        // negative.
        let closed: u64 = self
            .by_worker
            .iter()
            .map(|counters| counters.closed.get())
            .sum();
        let accepted: u64 = self
            .by_worker
            .iter()
            .map(|counters| counters.accepted.get())
            .sum();
        accepted.saturating_sub(closed)
    }
}
