//! Load on one peer. Its connections are kept from the warm-up to the measurement.
//!
//! A load ends when its last request is answered, so that the CPU used by then belongs to these
//! requests only.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{Connection, ConnectionTemplate};
use super::scenario::Shape;
use crate::arrivals::{Arrivals, LoadLength, Rate};
use crate::latency::Latencies;
use crate::request_ids::request_id;

/// Number of failed requests after which a load is abandoned.
const MAX_FAILED: u64 = 20;

/// Time that a load may take beyond its length.
const LOAD_GRACE: Duration = Duration::from_secs(20);

/// Time limit of a load with a fixed number of requests.
const FIXED_COUNT_TIMEOUT: Duration = Duration::from_secs(300);

/// Connections to one peer.
#[derive(Debug)]
pub(crate) struct PeerLoad {
    connections: Vec<Connection>,
    seed: u64,
}

/// Result of a load.
#[derive(Debug)]
pub(crate) struct LoadResult {
    /// Number of requests answered as expected.
    pub(crate) requests: u64,
    /// Number of failed requests, and the last error.
    pub(crate) failed: u64,
    pub(crate) fault: Option<String>,
    pub(crate) took: Duration,
    /// Latencies of the answered requests.
    pub(crate) latencies: Latencies,
}

impl PeerLoad {
    /// Returns unconnected connections for `shape`, spread evenly over the addresses.
    pub(crate) fn new(shape: Shape, addrs: &[SocketAddr]) -> Self {
        let template = ConnectionTemplate::new(shape);
        let spread = addrs.iter().cycle().take(shape.connections);
        Self {
            connections: spread
                .map(|addr| Connection::new(&template, *addr))
                .collect(),
            seed: rand::random(),
        }
    }

    /// Sends requests over all connections for the given length. Cancel safe: the connections are
    /// closed.
    ///
    /// # Errors
    /// Too many requests failed, the load did not end in time, or the timer of a rate failed.
    pub(crate) async fn run(
        &mut self,
        rate: Option<Rate>,
        end: LoadLength,
    ) -> anyhow::Result<LoadResult> {
        // Every load has its own IDs.
        self.seed = self.seed.wrapping_add(1);
        let result = LoadResult {
            requests: 0,
            failed: 0,
            fault: None,
            took: Duration::ZERO,
            latencies: Latencies::new()?,
        };
        let limit = match end {
            LoadLength::Time(time) | LoadLength::First(_, time) => time + LOAD_GRACE,
            LoadLength::Requests(_) => FIXED_COUNT_TIMEOUT,
        };
        let result = Rc::new(RefCell::new(result));
        let arrivals = Arrivals::start(rate, end).context("cannot start the timer")?;
        let arrivals = Rc::new(arrivals);
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (result, arrivals) = (Rc::clone(&result), Rc::clone(&arrivals));
            let seed = self.seed;
            tasks.spawn_local(async move {
                run_connection(&mut connection, &arrivals, seed, &result).await?;
                io::Result::Ok(connection)
            });
        }
        let all = async {
            while let Some(ended) = tasks.join_next().await {
                self.connections.push(ended?.context("the timer failed")?);
            }
            anyhow::Ok(())
        };
        let ended = timeout(limit, all).await;
        ended.with_context(|| format!("the load did not end within {limit:?}"))??;
        drop(tasks);
        let mut result = Rc::try_unwrap(result)
            .map_err(|_| anyhow::anyhow!("the task of a connection is still running"))?
            .into_inner();
        result.took = start.elapsed();
        match result.fault {
            Some(fault) if result.failed > MAX_FAILED => bail!("{fault}"),
            _ => Ok(result),
        }
    }

    /// Sends one request over each connection, one after the other.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) async fn each_once(&mut self) -> anyhow::Result<()> {
        for (index, connection) in (0..).zip(&mut self.connections) {
            connection.exchange(request_id(self.seed, index)).await?;
        }
        Ok(())
    }

    /// Sends one request over each connection, all at the same time.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) async fn all_at_once(&mut self) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for (index, mut connection) in (0..).zip(self.connections.drain(..)) {
            let id = request_id(self.seed, index);
            tasks.spawn_local(async move {
                connection.exchange(id).await?;
                anyhow::Ok(connection)
            });
        }
        while let Some(ended) = tasks.join_next().await {
            self.connections.push(ended??);
        }
        Ok(())
    }
}

async fn run_connection(
    connection: &mut Connection,
    arrivals: &Arrivals,
    seed: u64,
    result: &RefCell<LoadResult>,
) -> io::Result<()> {
    while let Some(arrival) = arrivals.next().await? {
        let answered = connection.exchange(request_id(seed, arrival.index)).await;
        let mut result = result.borrow_mut();
        match answered {
            Ok(done) => {
                result.requests += 1;
                result.latencies.record(done - arrival.due);
            }
            Err(fault) => {
                result.failed += 1;
                result.fault = Some(format!("{fault:#}"));
                if result.failed > MAX_FAILED {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
