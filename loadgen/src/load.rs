//! A load: several connections, each of which sends its next request when it has its answer and the
//! request is due.
//!
//! The number of a request decides its ID; any connection may carry it. Without a rate, a slow
//! server slows the load down, so latencies say nothing about a fixed rate of arrivals.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::arrivals::{Arrivals, LoadLength, Rate};
use crate::client::Client;
use crate::counters::Counters;
use crate::load_args::LoadArgs;
use crate::request::RequestTemplate;
use crate::request_ids::request_id;

/// Number of requests without `--requests`.
const DEFAULT_REQUESTS: u64 = 10_000;

/// Size, concurrency, rate and seed of a load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    /// `true` if the load ends after that number of requests.
    pub(crate) is_counted: bool,
    /// Time after which no request is sent any more, if it is limited.
    pub(crate) duration: Option<Duration>,
    pub(crate) concurrency: u64,
    /// `None`: as fast as requests are answered.
    pub(crate) rate: Option<Rate>,
    pub(crate) seed: u64,
}

impl Load {
    /// Returns the load of the flags. Without `--seed` the seed is random.
    pub(crate) fn from_args(args: &LoadArgs) -> Self {
        Self {
            requests: args.requests.unwrap_or(DEFAULT_REQUESTS),
            is_counted: true,
            duration: None,
            concurrency: args.concurrency,
            rate: args.rate,
            // 32 bits, so that the seed is short enough to be typed again.
            seed: args.seed.unwrap_or_else(|| rand::random::<u32>().into()),
        }
    }

    /// Length of the load.
    fn length(&self) -> LoadLength {
        match self.duration {
            None => LoadLength::Requests(self.requests),
            Some(time) if self.is_counted => LoadLength::First(self.requests, time),
            Some(time) => LoadLength::Time(time),
        }
    }

    /// Number of connections: no more than there are requests.
    pub(crate) fn connections(&self) -> u64 {
        match self.is_counted {
            true => self.concurrency.min(self.requests),
            false => self.concurrency,
        }
    }
}

/// Sends the whole load and counts the results. Cancel safe: results so far stay counted, and the
/// connections are closed.
///
/// # Errors
/// The timer of a fixed rate failed.
pub(crate) async fn run(
    load: Load,
    template: Rc<RequestTemplate>,
    counters: Rc<RefCell<Counters>>,
) -> anyhow::Result<()> {
    let arrivals = Arrivals::start(load.rate, load.length()).context("cannot start the timer")?;
    let arrivals = Rc::new(arrivals);
    let mut connections = JoinSet::new();
    for _ in 0..load.connections() {
        let (template, counters) = (Rc::clone(&template), Rc::clone(&counters));
        let arrivals = Rc::clone(&arrivals);
        connections.spawn_local(async move {
            run_connection(load, &arrivals, &template, &counters).await
        });
    }
    while let Some(ended) = connections.join_next().await {
        ended?.context("the timer failed")?;
    }
    Ok(())
}

async fn run_connection(
    load: Load,
    arrivals: &Arrivals,
    template: &RequestTemplate,
    counters: &RefCell<Counters>,
) -> io::Result<()> {
    let mut client = Client::new(template);
    while let Some(arrival) = arrivals.next().await? {
        let outcome = client.request(request_id(load.seed, arrival.index)).await;
        counters.borrow_mut().add(outcome, arrival.due.elapsed());
    }
    Ok(())
}

/// Raises the soft limit of descriptors to the hard limit, since each connection needs one.
/// Connections beyond the limit count as failures.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}
