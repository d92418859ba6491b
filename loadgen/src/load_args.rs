//! Flags shared by all loads.

use crate::arrivals::Rate;
use crate::target::Target;

/// Highest number of concurrent connections.
const MAX_CONCURRENCY: u64 = 20_000;

/// Target, size, concurrency, rate and seed of a load.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Base URL that requests are sent to
    #[arg(long, value_name = "URL", default_value = "http://localhost:5000")]
    pub(crate) target: Target,

    /// Number of requests [default: 10000]
    #[arg(short = 'n', long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) requests: Option<u64>,

    /// Number of connections, each with one request at a time
    #[arg(short, long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY))]
    pub(crate) concurrency: u64,

    /// Fixed rate of all connections together, independent of the answers [default: as fast as
    /// requests are answered]
    #[arg(short = 'q', long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<Rate>,

    /// Seed of the request IDs: the same seed gives the same IDs [default: random]
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Start a ringmaster with 3 replicas for this load, and stop it afterwards
    #[arg(long, conflicts_with = "target")]
    pub(crate) spawn: bool,
}
